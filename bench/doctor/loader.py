"""Loading against training: whether a device waits for images, at an experiment's own settings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bench.data.dataset import Dataset
from bench.doctor import apart
from bench.doctor.finding import Finding, Machine, off, ok, skipped
from bench.errors import UserError
from bench.execution import executors
from bench.experiment.trial import TrialSettings
from bench.machine import environment, limits
from bench.measurements import MEASUREMENTS
from bench.profiling import clocks, timing, workloads
from bench.profiling.clocks import Clock
from bench.profiling.workloads import Workload
from bench.training.convolutions import tried_by_cudnn
from bench.training.precision import float32_as

MARGIN = 1.1  # by which loading is to be faster than training where it is done meanwhile
MOST_SHARE = 0.25  # of the time of a trial that loads between its steps
WINDOW, WARM_UP, WINDOWS = 0.1, 1.0, 5  # seconds, seconds, windows that are measured
SECONDS, COMPILING = 20.0, 40.0  # that all of it may take; with a network that is compiled


@dataclass(frozen=True)
class Rates:
    """Images a second. None for a step: it takes longer than could be waited for."""

    alone: float  # loaded in the process that trains
    workers: int  # loader processes that `run` starts unless told otherwise
    loaded: float  # with these
    step: float | None

    def enough(self) -> int:
        """Return how many loader processes load faster than the device trains."""
        each = self.loaded / self.workers if self.workers else self.alone
        return 1 if self.step is None else max(1, math.ceil(MARGIN * self.step / each))


def rates(machine: Machine) -> Finding:
    """Time the loader and a step of training, and compare them."""
    if machine.settings is None:
        return skipped("needs an experiment: python -m bench doctor EXPERIMENT.yaml")
    if not machine.trains:
        return skipped("this experiment times passes, and trains no network on loaded images")
    if machine.settings.train.loader == "device":
        return skipped("train.loader: device cuts and augments there, and needs no processes")
    compiles = machine.settings.train.compile != "none"
    outcome = apart.run(_measured, machine, seconds=COMPILING if compiles else SECONDS)
    rows = dict(outcome.rows)
    if "absent" in rows:
        return skipped(rows["absent"])
    if outcome.failure is not None and not outcome.late:
        raise RuntimeError(outcome.failure)
    if "loaded" not in rows:
        return skipped("no batch was loaded in time (weights of borders are computed before)")
    found = Rates(rows["alone"], rows["workers"], rows["loaded"], rows.get("step"))
    spare = limits.usable_cores() - machine.threads
    return judged(found, cores=spare, overlaps=machine.device.type == "cuda")


def judged(found: Rates, *, cores: int, overlaps: bool) -> Finding:
    """Say whether the loader is fast enough; ``cores`` are left for loader processes.

    ``overlaps`` tells whether the device computes while the process that trains loads. Where it
    does not, and there are no loader processes, loading adds to the time of every step.
    """
    loaded, step, workers = found.loaded, found.step, found.workers
    numbers = {**asdict(found), "enough": found.enough()}
    text = f"{loaded:.0f} images/s with {workers} worker{'s' * (workers != 1)}"
    if step is None:
        return ok(f"{text}, and no step of training was done in time", **numbers)
    text += f", the step takes {step:.3g}"
    count = found.enough()
    if overlaps or workers:
        if loaded >= MARGIN * step:
            would_do = f"; --workers {count} would do" if count < workers else ""
            return ok(text + would_do, **numbers)
        if count <= cores:
            return off(text, f"--workers {count}", **numbers)
        needed = f"{count} loader processes are needed, and {max(0, cores)} cores are left for them"
        return off(f"{text}; {needed}", "a cheaper train.augmentation, or more cores", **numbers)
    share = step / (step + loaded)
    text += f": loading is {share:.0%} of the time of a training"
    if share <= MOST_SHARE:
        return ok(text, **numbers)
    mend = "a cheaper train.augmentation"
    if count <= cores:
        mend += f"; where trials are fewer than cores, --workers {count}"
    return off(text, mend, **numbers)


def _measured(machine: Machine) -> Iterator[tuple[str, Any]]:
    """Yield rates by name, the quick ones first: a step may take longer than there is time."""
    settings, device = machine.settings, machine.device
    assert settings is not None  # looked at before
    torch.set_num_threads(machine.threads)
    environment.use(device)
    jobs = executors.jobs_that_fit(MEASUREMENTS["accuracy"], device, threads=machine.threads)
    workers = executors.usual_workers(device, jobs or 1)
    yield "workers", workers
    try:
        dataset = settings.dataset(machine.data)
        yield "alone", (alone := _loading(settings, dataset, 0, device))
    except UserError as error:  # it is not installed, most likely
        yield "absent", str(error)
        return
    yield "loaded", _loading(settings, dataset, workers, device) if workers else alone
    timed = settings.timing.model_copy(update={"work": "train_step"})
    recipe = settings.train
    with float32_as(recipe.precision), tried_by_cudnn(recipe.cudnn_benchmark):
        settings = settings.model_copy(update={"timing": timed})
        yield "step", _rate(workloads.build(settings, dataset, 0, device), clocks.clock_of(device))


def _loading(
    settings: TrialSettings, dataset: Dataset, workers: int, device: torch.device
) -> float:
    timed = settings.timing.model_copy(update={"work": "loader", "workers": workers})
    settings = settings.model_copy(update={"timing": timed})
    return _rate(workloads.build(settings, dataset, 0, device), Clock())


def _rate(workload: Workload, clock: Clock) -> float:
    """Return images a second, once images are decoded and code is compiled."""
    warm = timing.warm_up(workload.call, clock, window=WINDOW, limit=WARM_UP)
    times = timing.measure(workload.call, clock, calls=warm.calls, windows=WINDOWS)
    return 1e3 * workload.images / timing.quartiles(times)[1]
