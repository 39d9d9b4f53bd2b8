"""Perform jobs until each has a record, whoever measured it."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator, Sequence

from bench.execution.executors import Executor
from bench.execution.job import Job, Stop
from bench.execution.progress import Progress
from bench.store import claims
from bench.store.records import Record
from bench.training.checkpointing import Interrupted

ATTEMPTS = 3  # at a trial whose measurement something disturbed, in one run
_POLL = 1.0  # seconds until it is looked again whether other runners are done


def measure(
    jobs: Sequence[Job],
    executor: Executor,
    progress: Progress,
    stop: Stop,
    tell: Callable[[str], None],
) -> dict[str, Record]:
    """Perform jobs until each has a record, whoever measured it; return the last ones, by key.

    A trial whose measurement is not valid is tried up to ``ATTEMPTS`` times, before the next round
    where order matters. Trials that other runners of the folder have claimed are left to them.
    """
    made: dict[str, list[Record]] = {}  # by key

    def attempt(ready: Sequence[Job]) -> None:
        for record in executor(ready, progress, stop):
            made.setdefault(record.key, []).append(record)
            progress.finished(record, again=_again(made[record.key]))

    for own in _rounds(jobs):
        while own:
            attempt(own)
            own = [job for job in _unfinished(own, made) if job.trial.key in made]
    waiting = list(_unfinished(jobs, made))
    while waiting:
        attempt(_claimable(waiting, stop, tell))
        waiting = list(_unfinished(waiting, made))
    return {key: tries[-1] for key, tries in made.items()}


def _rounds(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Yield the jobs of each replicate where the order of measuring matters, otherwise all."""
    ordered = any(job.measurement.shuffled for job in jobs)
    for _, own in itertools.groupby(jobs, lambda job: job.trial.seed if ordered else None):
        yield list(own)


def _again(tries: Sequence[Record]) -> bool:
    return tries[-1].status == "invalid" and len(tries) < ATTEMPTS


def _unfinished(jobs: Sequence[Job], made: dict[str, list[Record]]) -> Iterator[Job]:
    """Yield the jobs that other runners have claimed, and those that are to be done again."""
    for job in jobs:
        tries = made.get(job.trial.key)
        if tries is None:
            yield job
        elif _again(tries):
            yield dataclasses.replace(job, attempts=tries[-1].attempts)


def _claimable(jobs: Sequence[Job], stop: Stop, tell: Callable[[str], None]) -> list[Job]:
    """Wait until one of some jobs is not claimed by others; return all that are not."""
    for due in claims.minutes():
        free = []
        for job in jobs:
            with job.store.claim(job.trial.key) as claim:
                if claim is not None:
                    free.append(job)
        if free or not jobs:
            break
        if stop():
            raise Interrupted("stopped while others measure the last trials")
        if due:
            trial, store = jobs[0].trial, jobs[0].store
            who = claims.holder(store.claim_file(trial.key))
            rest = f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""
            replicate = f"{jobs[0].measurement.replicate} {trial.seed}"
            tell(
                f"waiting for {trial.arm.label}, {replicate} ({who}){rest}: another run "
                "measures what is left"
            )
        time.sleep(_POLL)
    return free
