"""Skip what is stored, measure the rest, and let no failing trial stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from bench import accuracy, environment
from bench.accuracy import Measurement
from bench.config import Experiment
from bench.plan import Trial
from bench.progress import Progress
from bench.records import Record, Store
from bench.train import Diverged

Measure = Callable[..., Measurement]
FINAL = ("done", "diverged")  # of records that need no second try


@dataclass(frozen=True)
class Outcome:
    """What a run did: trials found in the store, measured now, and failed now."""

    stored: int
    measured: int
    failed: tuple[Record, ...]


def run(
    experiment: Experiment,
    trials: list[Trial],
    store: Store,
    *,
    root: Path,
    device: torch.device,
    workers: int,
    progress: Progress,
) -> Outcome:
    """Measure every trial that has no result yet.

    A trial that failed before is tried once more. Every trial is stored as soon as it is
    finished, so that an interruption loses the one that is running and no other.

    Args:
        experiment: what the trials belong to.
        trials: its plan.
        store: where results go.
        root: the folder that holds the datasets.
        device: where to compute.
        workers: loader processes.
        progress: is told what happens.
    """
    stored = store.keys() & {trial.key for trial in trials}
    finished = {key for key in stored if store.read(key).status in FINAL}
    waiting = [trial for trial in trials if trial.key not in finished]
    failed = []
    with progress.sweep(len(trials), stored=len(trials) - len(waiting)):
        for trial in waiting:
            progress.trial(trial.arm.label, trial.seed, trial.arm.settings.train.epochs)
            record, details = _measure(
                experiment,
                trial,
                store,
                root=root,
                device=device,
                workers=workers,
                progress=progress,
            )
            store.commit(record, details)
            progress.finished(record)
            if record.status != "done":
                failed.append(record)
    return Outcome(len(trials) - len(waiting), len(waiting), tuple(failed))


def _measure(
    experiment: Experiment,
    trial: Trial,
    store: Store,
    *,
    root: Path,
    device: torch.device,
    workers: int,
    progress: Progress,
) -> tuple[Record, Mapping[str, Any]]:
    """Measure one trial; whatever goes wrong in it becomes the status of its record."""
    started, clock = datetime.now(UTC), time.perf_counter()
    status, reason, measurement = "done", None, Measurement({}, {})
    try:
        measurement = MEASURES[experiment.measure](
            trial.arm.settings,
            trial.seed,
            root=root,
            device=device,
            workers=workers,
            put=store.put,
            on_epoch=progress.epoch,
        )
    except Diverged as error:
        status, reason = "diverged", str(error)
    except torch.OutOfMemoryError as error:
        status, reason = "oom", _one_line(error)
    except Exception as error:
        status, reason = "failed", _one_line(error)
    settings = trial.arm.settings
    record = Record(
        key=trial.key,
        experiment=experiment.name,
        measure=experiment.measure,
        status=status,
        reason=reason,
        arm=trial.arm.levels,
        label=trial.arm.label,
        seed=trial.seed,
        settings=settings.effective(),
        provenance=trial.provenance,
        environment=environment.describe(device, threads=settings.train.threads),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - clock, 3),
        result=measurement.result,
    )
    return record, measurement.details


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "" if type(error).__name__ == "UserError" else f"{type(error).__name__}: "
    return (kind + text)[:500]


MEASURES: dict[str, Measure] = {"accuracy": accuracy.measure}
