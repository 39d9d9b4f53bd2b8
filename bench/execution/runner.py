"""Skip what is stored, measure the rest, and let no failing trial stop the others."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.execution.executors import default
from bench.execution.job import Executor, Job, Stop, never
from bench.execution.progress import Progress
from bench.experiment import plan
from bench.experiment.config import Experiment
from bench.experiment.plan import Trial
from bench.measurements import MEASUREMENTS
from bench.store.folder import Store
from bench.store.records import Record, is_result, pending
from bench.training.checkpointing import Interrupted

ATTEMPTS = 3  # at a trial whose measurement something disturbed, in one run
POLL = 1.0  # seconds until it is looked again whether other runners are done


@dataclass(frozen=True)
class Outcome:
    """What a run did: trials found in the store, measured now, and those without a result.

    ``failed`` holds every trial of the plan that ended badly, be it now or in an earlier run.
    """

    stored: int
    measured: int
    failed: tuple[Record, ...]


def run(
    experiment: Experiment,
    trials: Sequence[Trial],
    store: Store,
    *,
    root: Path,
    device: torch.device | str,
    workers: int,
    progress: Progress,
    executor: Executor | None = None,
    stop: Stop = never,
    timeout: float | None = None,
    accepted: Mapping[str, str] | None = None,
) -> Outcome:
    """Measure every trial that has no result yet.

    A trial that failed before is tried once more, until it was tried often enough; one whose
    measurement is not valid up to ``ATTEMPTS`` times. Every trial is stored as soon as it is
    finished, and what other runners of this folder have claimed is left to them: the run ends
    when every trial has a record, whoever measured it.

    Args:
        experiment: what the trials belong to.
        trials: its plan.
        store: where results go.
        root: the folder that holds the datasets.
        device: where to compute.
        workers: loader processes.
        progress: is told what happens.
        executor: performs the jobs; by default what fits the kind of measurement.
        stop: asked all the time; the run then ends at the end of an epoch.
        timeout: seconds that a trial may take; needs an executor with processes.
        accepted: key of a trial → key of the record that is taken in its place.

    Raises:
        Interrupted: if it was asked to stop.
        Unwritable: if there is no room for results.
    """
    perform = executor or default(experiment.measure)
    taken = accepted or {}
    keys = [trial.key for trial in trials]
    records = store.held(keys)
    wanted = set(pending(records, [key for key in keys if key not in taken]))
    jobs = [
        Job(
            trial,
            experiment.name,
            experiment.measure,
            store.folder,
            root,
            str(device),
            workers,
            attempts=records[trial.key].attempts if trial.key in records else 0,
            lease=store.lease,
            timeout=timeout,
        )
        for trial in plan.measuring_order(experiment, trials)
        if trial.key in wanted
    ]
    made: dict[str, list[Record]] = {}  # in this run, by key
    watcher = _Watcher(progress)
    with progress.sweep(len(trials), stored=len(trials) - len(jobs)):
        waiting = ready = jobs
        while waiting:
            for record in perform(ready, watcher, stop):
                made.setdefault(record.key, []).append(record)
                again = _again(made[record.key])
                progress.finished(record, again=again)
            waiting = [job for job in map(partial(_next, made), waiting) if job is not None]
            ready = _claimable(waiting, store, stop)
    held = {**records, **{key: tries[-1] for key, tries in made.items()}}
    held |= {key: store.read(other) for key, other in taken.items()}
    failed = tuple(held[key] for key in keys if not is_result(held[key]))
    return Outcome(len(trials) - len(jobs), len(jobs), failed)


def _again(tries: Sequence[Record]) -> bool:
    return tries[-1].status == "invalid" and len(tries) < ATTEMPTS


def _next(made: Mapping[str, Sequence[Record]], job: Job) -> Job | None:
    """Return what is still to be done of a job: all if somebody else has it; None if nothing."""
    tries = made.get(job.trial.key)
    if not tries:
        return job
    return dataclasses.replace(job, attempts=tries[-1].attempts) if _again(tries) else None


def _claimable(jobs: Sequence[Job], store: Store, stop: Stop) -> list[Job]:
    """Wait until one of some jobs is not claimed by others; return all that are not."""
    while True:
        free = []
        for job in jobs:
            with store.claim(job.trial.key) as claim:
                if claim is not None:
                    free.append(job)
        if free or not jobs:
            return free
        if stop():
            raise Interrupted("stopped while others measure the last trials")
        time.sleep(POLL)


class _Watcher:
    """Tells what an executor reports to a person."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def begun(self, job: Job) -> None:
        epochs = job.trial.arm.settings.train.epochs if MEASUREMENTS[job.measure].trains else 1
        replicate = MEASUREMENTS[job.measure].replicate
        self.progress.trial(job.trial.arm.label, job.trial.seed, epochs, replicate=replicate)

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        self.progress.epoch(job.trial.arm.label, job.trial.seed, row)
