"""Every number format with every mode of compiling, on a tiny network."""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import torch

from bench.doctor import apart
from bench.doctor.apart import Outcome, Produce
from bench.doctor.finding import Finding, Machine, off, ok
from bench.execution.job import one_line
from bench.machine import environment
from bench.profiling import cuda_graphs
from bench.training import compiling, models
from bench.training.models import ModelSettings
from bench.training.precision import Precision, float32_as
from bench.training.step import Step, TrainSettings

SECONDS = 15.0  # for all of them: a first compilation takes seconds, max-autotune longest
STEPS = 4  # CUDA graphs are recorded in the second or third
SIDE, BATCH, CHANNELS, CLASSES = 32, 2, 3, 3
NETWORK = ModelSettings(base_channels=4, depth=1)
MODES: tuple[str, ...] = get_args(TrainSettings.model_fields["compile"].annotation)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
PLAIN: tuple[Precision, str] = ("fp32", "none")
# Of the loss after some steps of so small a network: formats of 8 bits and more agree to 1 %.
APART = 0.05
MEND = (
    "leave these settings of train.precision and train.compile out here; a report names such arms"
)


@dataclass(frozen=True)
class Tried:
    """What came of a number format and a mode of compiling."""

    precision: Precision
    compile: str
    seconds: float
    loss: float | None = None  # of the last step
    failure: str | None = None
    compiled: dict[str, Any] | None = None  # as `compiling.Compiled`
    cuda_graphs: dict[str, Any] | None = None  # of modes that ask for them

    @property
    def name(self) -> str:
        """Return both, in words of an experiment file."""
        return f"{self.precision} with compile: {self.compile}"


def all_modes(machine: Machine, produce: Produce | None = None) -> Finding:
    """Do some steps in every number format and mode of compiling, in a process of its own."""
    outcome = apart.run(produce or tried, machine, seconds=SECONDS)
    return judged(outcome)


def tried(machine: Machine) -> Iterator[Tried]:
    """Yield what came of each combination, in the order of `combinations`."""
    from torch._inductor import config

    config.compile_threads = 1  # starting processes that compile takes longer than these networks
    # Torch shows progress by tqdm, whose own lock is left behind by a process that is killed.
    with contextlib.suppress(ImportError):
        importlib.import_module("tqdm").tqdm.set_lock(threading.RLock())
    environment.use(machine.device)
    for precision, mode in combinations(machine):
        with contextlib.redirect_stderr(io.StringIO()):  # max-autotune writes tables of timings
            row = _try(precision, mode, machine.device)
        yield row


def combinations(machine: Machine) -> list[tuple[Precision, str]]:
    """Return all formats and modes: what others are compared with, the experiment's, the rest."""
    first = [PLAIN]
    if machine.settings is not None:
        first.append((machine.settings.train.precision, machine.settings.train.compile))
    rest = ((precision, mode) for mode, precision in itertools.product(MODES, PRECISIONS))
    return list(dict.fromkeys([*first, *rest]))


def judged(outcome: Outcome) -> Finding:
    """Return what to say about combinations that were tried."""
    rows: Sequence[Tried] = outcome.rows
    total = len(MODES) * len(PRECISIONS)
    text = f"{len(rows)} of {total} combinations of precision and compile were tried"
    left = total - len(rows)
    if left and outcome.late:
        text += f" in {SECONDS:.0f} s (torch keeps what it compiled: a second run gets further)"
    numbers = {"tried": [asdict(row) for row in rows]}
    alike: dict[str, list[str]] = {}
    for row in rows:
        if (problem := _problem(row, rows)) is not None:
            alike.setdefault(problem, []).append(row.name)
    wrong = [f"{problem}: {', '.join(names)}" for problem, names in alike.items()]
    if left and not outcome.late:
        wrong.append(f"the process broke down after that: {outcome.failure}")
    if wrong:
        return off(f"{text}; {'; '.join(wrong)}", MEND, **numbers)
    return ok(f"{text}, and all work without breaks and skipped graphs", **numbers)


def _problem(row: Tried, rows: Sequence[Tried]) -> str | None:
    """Say what is wrong with a combination."""
    if row.failure is not None:
        return f"failed ({row.failure})"
    compiled, graphs = row.compiled, row.cuda_graphs
    if compiled is not None and (compiled["given_up"] or not compiled["graphs"]):
        return "not compiled, but run as it is"
    if compiled is not None and compiled["breaks"]:
        return f"{compiled['breaks']} graph breaks ({'; '.join(compiled['reasons'][:1])})"
    if graphs is not None and not graphs["recorded"]:
        return "no CUDA graph recorded"
    if graphs is not None and graphs["skipped"]:
        return f"{graphs['skipped']} CUDA graphs skipped"
    exact = next((one.loss for one in rows if (one.precision, one.compile) == PLAIN), None)
    if row.loss is None or exact is None:
        return None
    if not abs(row.loss / exact - 1) <= APART:  # also where it is not a number
        return f"a loss of {row.loss:.4g} instead of {exact:.4g}"
    return None


def _try(precision: Precision, mode: str, device: torch.device) -> Tried:
    """Do some steps of training, and look what was compiled."""
    started = time.perf_counter()
    compiling.begin()
    loss = failure = None
    try:
        with float32_as(precision):
            loss = _train(precision, mode, device)
    except Exception as error:
        failure = one_line(error)
    compiled = None if mode == "none" or failure else asdict(compiling.outcome())
    graphs = None if failure else cuda_graphs.of(mode, device)
    seconds = round(time.perf_counter() - started, 3)
    told = None if graphs is None else graphs.model_dump(mode="json")
    return Tried(precision, mode, seconds, loss, failure, compiled, told)


def _train(precision: Precision, mode: str, device: torch.device) -> float:
    """Return the loss after some steps on one batch."""
    torch.manual_seed(0)
    settings = TrainSettings.model_validate(
        {"precision": precision, "compile": mode, "optimizer": "sgd", "learning_rate": 0.01}
    )
    images = torch.rand(BATCH, CHANNELS, SIDE, SIDE) * 2 - 1
    labels = torch.randint(CLASSES, (BATCH, SIDE, SIDE))
    model = models.build(NETWORK, CHANNELS, CLASSES).to(device)
    model = model.to(memory_format=torch.channels_last).train()
    step = Step(model, settings, device=device, steps_per_epoch=STEPS)
    batch = images.to(device), labels.to(device)
    return [float(step(*batch)) for _ in range(STEPS)][-1]
