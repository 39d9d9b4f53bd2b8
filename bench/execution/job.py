"""One trial → its record, whatever happens in it: what an executor does, wherever it does it."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from bench.experiment import environment
from bench.experiment.context import Measured, RunContext
from bench.experiment.plan import Trial
from bench.measurements import MEASUREMENTS
from bench.store.files import Damaged, Unwritable
from bench.store.folder import Store
from bench.store.records import Record
from bench.store.results import Result
from bench.training.checkpointing import Checkpointer, Interrupted
from bench.training.loop import Diverged

Stop = Callable[[], bool]
OnEpoch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """A trial to be measured, and all that a process somewhere else must know for it.

    Attributes:
        trial: what is measured.
        experiment: name of what it belongs to.
        measure: a key of ``MEASURES``.
        store: the folder that its record goes to.
        root: the folder that holds the datasets.
        device: where to compute, as ``torch.device`` takes it.
        workers: loader processes.
        attempts: how often it was tried when the runner last looked.
        lease: how trials are claimed in this store (see ``bench.store.claims``).
        timeout: seconds after which it is given up, if a process of its own measures it.
    """

    trial: Trial
    experiment: str
    measure: str
    store: Path
    root: Path
    device: str
    workers: int
    attempts: int = 0
    lease: float | None = None
    timeout: float | None = None

    def open_store(self) -> Store:
        """Return the store that its record goes to."""
        return Store(self.store, lease=self.lease)


class Watcher(Protocol):
    """Is told what happens to jobs, in the process of the runner."""

    def begun(self, job: Job) -> None:
        """Note that a job is being worked on."""

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        """Note a finished epoch of a job."""


class Executor(Protocol):
    """Performs jobs and yields their records."""

    def __call__(self, jobs: Sequence[Job], watcher: Watcher, stop: Stop = ...) -> Iterator[Record]:
        """Yield a record for each job that nobody else has claimed.

        Raises:
            Interrupted: if it was asked to stop and is there.
            Unwritable: if there is no room for results.
        """
        ...


def never() -> bool:
    """Return False: nobody asks to stop."""
    return False


def perform(
    job: Job, on_epoch: OnEpoch = lambda row: None, stop: Stop = lambda: False
) -> Record | None:
    """Claim a trial, measure it and store its record; a failure becomes the record's status.

    Args:
        job: the trial.
        on_epoch: called with each row of the history.
        stop: asked at the end of every epoch.

    Returns:
        The record, or the one that another runner stored meanwhile; None while another one
        measures the trial.

    Raises:
        Interrupted: if it was asked to stop; what it came to is kept.
        Unwritable: if there is no room for results.
    """
    with job.open_store().claim(job.trial.key) as claim:
        if claim is None:
            return None
        other = _of_another(job)
        if other is not None:
            return other
        made, details = _measured(job, on_epoch, stop)
        # Whoever lost a claim, by sleeping through a lease, leaves the trial to who took it.
        return commit(job, made, details) if claim.held() else None


def give_up(
    job: Job, status: str, reason: str, *, started: datetime, seconds: float
) -> Record | None:
    """Store the record of a trial whose process is gone; None if somebody else has it by now."""
    with job.open_store().claim(job.trial.key) as claim:
        if claim is None:
            return None
        made = record(job, status, reason, started=started, seconds=seconds)
        return _of_another(job) or commit(job, made, {})


def _of_another(job: Job) -> Record | None:
    """Return a record that is newer than the runner knew: somebody else was quicker."""
    found = job.open_store().held([job.trial.key]).get(job.trial.key)
    return found if found is not None and found.attempts > job.attempts else None


def _measured(job: Job, on_epoch: OnEpoch, stop: Stop) -> tuple[Record, Mapping[str, Any]]:
    store, settings, key = job.open_store(), job.trial.arm.settings, job.trial.key
    checkpointer = Checkpointer(
        lambda: store.read_partial(key), partial(store.write_partial, key), stop=stop
    )
    started, clock = datetime.now(UTC), time.perf_counter()
    status, reason, measured = "done", None, Measured()
    try:
        context = RunContext(
            root=job.root,
            device=torch.device(job.device),
            put=store.put,
            workers=job.workers,
            on_epoch=on_epoch,
            checkpointer=checkpointer,
        )
        # Imported by the process that measures, and by no other.
        module = importlib.import_module(MEASUREMENTS[job.measure].module)
        measured = module.measure(settings, job.trial.seed, context)
        if measured.problems:
            status, reason = "invalid", "; ".join(measured.problems)
    except (Interrupted, Unwritable):
        raise
    except Diverged as error:
        status, reason = "diverged", str(error)
    except Exception as error:
        status, reason = "oom" if _out_of_memory(error) else "failed", one_line(error)
    seconds = time.perf_counter() - clock
    made = record(job, status, reason, started=started, seconds=seconds, result=measured.result)
    return made, measured.details


def record(
    job: Job,
    status: str,
    reason: str | None,
    *,
    started: datetime,
    seconds: float,
    result: Result | None = None,
) -> Record:
    """Return the record of a job that ended as ``status``."""
    trial, settings = job.trial, job.trial.arm.settings
    device = torch.device(job.device)
    return Record(
        key=trial.key,
        experiment=job.experiment,
        measure=job.measure,
        status=status,
        reason=reason,
        arm=trial.arm.levels,
        label=trial.arm.label,
        seed=trial.seed,
        settings=settings.effective(job.measure),
        provenance=trial.provenance,
        environment=environment.describe(device, threads=settings.train.threads),
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        result=result,
    )


def commit(job: Job, made: Record, details: Mapping[str, Any]) -> Record:
    """Store a record and return it as it is stored, with the number of attempts.

    A record whose place it takes leaves its outcome in the details.
    """
    store = job.open_store()
    before = store.held([made.key]).get(made.key)
    if before is not None:
        earlier = _earlier(store, made.key)
        earlier.append(
            {
                "started": before.started,
                "status": before.status,
                "reason": before.reason,
                "metrics": {} if before.result is None else dict(before.result.metrics),
            }
        )
        made = made.model_copy(update={"attempts": before.attempts + 1})
        details = {**details, "earlier": earlier}
    store.commit(made, details)
    return made


def _earlier(store: Store, key: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = store.details(key).get("earlier", [])
    except Damaged:  # what went wrong before is not worth a result
        return []
    return found


def one_line(error: BaseException) -> str:
    """Return what went wrong in at most 500 characters without a line break."""
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "" if type(error).__name__ == "UserError" else f"{type(error).__name__}: "
    return (kind + text)[:500]


def _out_of_memory(error: Exception) -> bool:
    """Tell whether memory ran out, on a device or in the host's."""
    host = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return host or isinstance(error, torch.OutOfMemoryError | MemoryError)
