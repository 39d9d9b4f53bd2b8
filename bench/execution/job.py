"""A trial to be measured, and its record, whatever happens: claim it, measure it, commit it."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from bench.errors import UserError, out_of_memory
from bench.execution import as_planned
from bench.execution.as_planned import Changed
from bench.experiment.context import Measured, RunContext
from bench.experiment.trial import Trial
from bench.machine import environment
from bench.measurements import Measurement
from bench.store.files import Damaged, Unwritable
from bench.store.folder import Store
from bench.store.records import Record
from bench.store.results import Result
from bench.store.trainings import StoredTraining
from bench.training.checkpointing import Checkpointer, Interrupted
from bench.training.loop import Diverged

Stop = Callable[[], bool]  # asked again and again: whether to stop
OnEpoch = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """A trial to be measured; a process somewhere else needs nothing more to do it.

    ``root`` is the folder of the datasets, ``workers`` counts loader processes, ``attempts`` how
    often the trial was tried when the runner last looked. Of a ``training`` that is stored the
    weights are scored, and nothing is trained. With ``accept_busy``, what is timed may be timed on
    a machine that does other work too.
    """

    trial: Trial
    experiment: str
    measurement: Measurement
    store: Store
    root: Path
    device: str = "cpu"
    workers: int = 0
    attempts: int = 0
    training: StoredTraining | None = None
    accept_busy: bool = False


def perform(
    job: Job, on_epoch: OnEpoch = lambda row: None, stop: Stop = lambda: False
) -> Record | None:
    """Claim a trial, measure it and store its record; a failure becomes the record's status.

    ``on_epoch`` is called with each row of the history; ``stop`` is asked after every epoch.

    Returns:
        The record, or the one that another runner stored meanwhile; None while another one
        measures the trial.

    Raises:
        Changed: if code or images are not, or no longer, those that the trial was planned with.
        Interrupted: if it was asked to stop; the state of the training is kept.
        Unwritable: if results cannot be written.
    """
    as_planned.check_code(job.trial, job.measurement)
    as_planned.check_device(job.trial, torch.device(job.device))
    return _stored(job, lambda: _measured(job, on_epoch, stop))


def give_up(
    job: Job, status: str, reason: str, *, started: datetime, seconds: float
) -> Record | None:
    """Store the record of a trial whose process is gone; None if another runner has claimed it."""
    made = _record(job, status, reason, started=started, seconds=seconds)
    return _stored(job, lambda: (made, {}))


def _stored(job: Job, make: Callable[[], tuple[Record, dict[str, Any]]]) -> Record | None:
    """Claim a trial, make its record and details, and store them.

    The outcome of an earlier record is kept in the details.
    """
    store, key = job.store, job.trial.key
    _check_folder(store)
    with store.claim(key) as claim:
        if claim is None:
            return None
        before = store.held([key]).get(key)
        if before is not None and before.attempts > job.attempts:
            return before  # another runner has stored it since this one looked
        made, details = make()
        if before is not None:
            earlier: list[dict[str, Any]] = []
            with contextlib.suppress(Damaged):  # a result is worth more than what came before it
                earlier = [one.model_dump(mode="json") for one in store.details(key).earlier]
            outcome = before.model_dump(include={"started", "status", "reason"})
            outcome["metrics"] = {} if before.result is None else dict(before.result.metrics)
            details = {**details, "earlier": [*earlier, outcome]}
            made = made.model_copy(update={"attempts": before.attempts + 1})
        _check_folder(store)
        store.commit(made, details)
        return made


def _measured(job: Job, on_epoch: OnEpoch, stop: Stop) -> tuple[Record, dict[str, Any]]:
    store, key = job.store, job.trial.key
    check_data = partial(as_planned.check_data, job.trial, job.measurement, job.root)
    check_data()
    epochs: list[dict[str, Any]] = []  # kept also of a trial that does not finish

    def note(row: dict[str, Any]) -> None:
        epochs.append(row)
        on_epoch(row)

    def write(content: bytes) -> None:
        _check_folder(store)
        check_data()  # a state is of the planned images, or not kept
        store.write_partial(key, content)

    context = RunContext(
        root=job.root,
        device=torch.device(job.device),
        put=store.put,
        workers=job.workers,
        on_epoch=note,
        checkpointer=Checkpointer(partial(store.read_partial, key), write, stop=stop),
        training=job.training,
        accept_busy=job.accept_busy,
    )
    started, clock = datetime.now(UTC), time.perf_counter()
    status, reason, measured = "done", None, Measured()
    try:
        module = importlib.import_module(job.measurement.module)  # which only who measures needs
        environment.use(context.device)
        measured = module.measure(job.trial.arm.settings, job.trial.seed, context)
        if measured.problems:
            status, reason = "invalid", "; ".join(measured.problems)
    except (Interrupted, Unwritable, Changed):
        raise
    except Diverged as error:
        status, reason = "diverged", str(error)
    except Exception as error:
        if isinstance(error, UserError):  # the kept state may be what does not fit
            store.drop_partial(key)
        status, reason = "oom" if out_of_memory(error) else "failed", one_line(error)
    seconds = time.perf_counter() - clock
    check_data()  # once more: what was read meanwhile is what was planned, or nothing is stored
    made = _record(job, status, reason, started=started, seconds=seconds, result=measured.result)
    return made, measured.details or ({"history": epochs} if epochs else {})


def _check_folder(store: Store) -> None:
    """Raise Unwritable where a run would begin its folder anew, because it was moved away."""
    if not (store.folder / "trials").is_dir():  # which every run makes first
        raise Unwritable(
            f"{store.folder}: is not there any more; was it renamed or removed during the run?"
        )


def _record(
    job: Job,
    status: str,
    reason: str | None,
    *,
    started: datetime,
    seconds: float,
    result: Result | None = None,
) -> Record:
    trial, threads = job.trial, job.trial.arm.settings.train.threads
    return Record(
        key=trial.key,
        experiment=job.experiment,
        measure=job.measurement.name,
        status=status,
        reason=reason,
        arm=trial.arm.levels,
        label=trial.arm.label,
        seed=trial.seed,
        settings=trial.arm.effective,
        provenance=trial.provenance,
        environment=environment.describe(torch.device(job.device), threads=threads),
        started=started.isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        result=result,
    )


def one_line(error: BaseException) -> str:
    """Return what went wrong in at most 500 characters without a line break."""
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "" if type(error).__name__ == "UserError" else f"{type(error).__name__}: "
    return (kind + text)[:500]
