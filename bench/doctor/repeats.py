"""The same training in several processes: the same bytes, and nearly the same time of a step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from bench.data.dataset import Dataset
from bench.doctor import apart
from bench.doctor.finding import Finding, Machine, off, ok, skipped
from bench.errors import UserError
from bench.experiment.trial import TrialSettings
from bench.machine import environment
from bench.profiling import clocks, timing, workloads
from bench.training.convolutions import tried_by_cudnn
from bench.training.precision import float32_as

SMALL = TrialSettings.model_validate(
    {
        "data": {"name": "scenes", "size": 64, "train": 1, "val": 1, "test": 1},
        "model": {"base_channels": 8},
        "train": {"crop_size": 64, "batch_size": 2},
    }
)
PROCESSES, STEPS = 3, 3
SECONDS = 15.0  # that a process may take
WINDOW, WARM_UP, WINDOWS = 0.05, 0.3, 8  # seconds, seconds, windows that are measured
# Between the fastest windows of processes, on a GPU. A CPU that other machines share has no such
# limit: what it does in a second changes by two thirds within a minute, and nobody can mend that.
SPREAD = 0.05
ROUNDING = 0.01  # of the loss, by which kernels may differ that add in no fixed order


@dataclass(frozen=True)
class Trained:
    """What a process got."""

    digest: str  # of all weights and statistics after the steps
    losses: tuple[float, ...]  # of the steps


def same_bytes(machine: Machine) -> Finding:
    """Do the same steps of training in several fresh processes, and compare what they got."""
    runs, times = [], []
    for _ in range(PROCESSES):
        outcome = apart.run(_trained, machine, seconds=SECONDS)
        if outcome.failure is not None and not outcome.late:
            raise RuntimeError(outcome.failure)
        if len(outcome.rows) < 2:
            return skipped(f"some steps of training take longer than {SECONDS:g} s on this device")
        runs.append(outcome.rows[0])
        times.append(outcome.rows[1])
    return judged(runs, times, gpu=machine.device.type == "cuda")


def judged(runs: Sequence[Trained], times: Sequence[float], *, gpu: bool) -> Finding:
    """Compare weights and losses, and the milliseconds of a step, of several processes."""
    last = [run.losses[-1] for run in runs]
    apart_by = (max(last) - min(last)) / max(map(abs, last))
    spread = (max(times) - min(times)) / timing.quartiles(tuple(times))[1]
    same = len({run.digest for run in runs}) == 1
    numbers = {
        "same": same,
        "losses": [list(run.losses) for run in runs],
        "losses_apart": apart_by,
        "step_ms": list(times),
        "spread": spread,
    }
    steps = f"{STEPS} steps with one seed"
    found = f"{steps} give the same bytes in {len(runs)} processes"
    mends = []
    if not same:
        found = f"{steps} do not give the same bytes in {len(runs)} processes: losses differ "
        found += f"by {apart_by:.1g} of their size"
        if not gpu:
            mends.append("report it: on a CPU they are to be the same")
        elif not apart_by <= ROUNDING:
            mends.append("see whether the GPU's memory is faulty (nvidia-smi -q -d ECC)")
        else:
            found += ", as where kernels add in no fixed order"
    found += f", and a step takes {min(times):.3g} to {max(times):.3g} ms there"
    if gpu and spread > SPREAD:
        found += f" ({spread:.0%} apart; at most {SPREAD:.0%} are expected)"
        mends.append("end other processes; if there are none, measure more repetitions (seeds)")
    if mends:
        return off(found, " and ".join(mends), **numbers)
    return ok(found, **numbers)


def _trained(machine: Machine) -> Iterator[Trained | float]:
    """Yield what some steps of training gave, and then the milliseconds of a step."""
    settings, dataset = _settled(machine)
    device, clock = machine.device, clocks.clock_of(machine.device)
    torch.set_num_threads(machine.threads)
    environment.use(device)
    recipe = settings.train
    with float32_as(recipe.precision), tried_by_cudnn(recipe.cudnn_benchmark):
        workload = workloads.build(settings, dataset, 0, device)
        assert workload.step is not None  # of this pass
        losses = tuple(float(workload.step(*workload.batch)) for _ in range(STEPS))
        digest = hashlib.sha256()
        for value in workload.step.model.state_dict().values():
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        yield Trained(digest.hexdigest(), losses)
        warm = timing.warm_up(workload.call, clock, window=WINDOW, limit=WARM_UP)
        yield min(timing.measure(workload.call, clock, calls=warm.calls, windows=WINDOWS))


def _settled(machine: Machine) -> tuple[TrialSettings, Dataset]:
    """Return settings that are not compiled, which takes long, and a dataset that is there."""
    settings = machine.settings or SMALL
    train = settings.train.model_copy(update={"compile": "none", "loader": "host"})
    timed = settings.timing.model_copy(update={"work": "train_step"})
    settings = settings.model_copy(update={"train": train, "timing": timed})
    try:
        return settings, settings.dataset(machine.data)
    except UserError:  # its own is not installed, and inputs are random anyway
        return settings, SMALL.dataset(machine.data)
