"""Run an experiment: what ``python -m bench run`` and ``bench.run`` do."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from bench.execution import data_check
from bench.execution.job import Job, Stop
from bench.execution.prepare import Prepared
from bench.execution.progress import Progress
from bench.execution.until_stored import measure
from bench.experiment import plan, reconcile
from bench.experiment.priority import first_things_first
from bench.experiment.reconcile import Stale
from bench.measurements import MEASUREMENTS
from bench.store import looks, trainings
from bench.store.records import Record, is_result, pending
from bench.store.trainings import StoredTraining
from bench.training import models
from bench.training.checkpointing import Interrupted


class OutOfBudget(Interrupted):
    """The budget is spent. The message says what is left."""


@dataclass(frozen=True)
class Outcome:
    """What a run did: how many trials were stored before, how many it measured.

    ``failed`` holds every trial of the plan that ended badly, be it now or in an earlier run.
    """

    stored: int
    measured: int
    failed: tuple[Record, ...]
    scored: int = 0  # of those measured: with stored weights, without training


def run_experiment(
    prepared: Prepared,
    progress: Progress,
    *,
    accept_stale: bool = False,
    warn: Callable[[str], None] = lambda line: None,
    stop: Stop = lambda: False,
) -> Outcome:
    """Measure every trial of an experiment that is not stored yet.

    ``accept_stale`` takes finished records of other code, data or versions as they are; ``warn`` is
    given a line for all that is put aside; asked to ``stop``, the run ends at the end of an epoch,
    and so it does when its budget is spent.

    Raises:
        UserError: if results cannot be written, those that are there cannot be moved, or images and
            masks are not what they should be.
        Interrupted: if it was asked to stop; finished trials are stored.
        OutOfBudget: if the budget was spent before all is measured.
    """
    if prepared.note is not None:
        warn(prepared.note)
    budget, current = prepared.budget, prepared
    accepted: dict[str, Stale] = {}

    def is_over() -> bool:
        return stop() or (budget is not None and budget.is_spent())

    run_stage = partial(
        _run_stage, accepted=accepted, accept_stale=accept_stale, warn=warn, stop=is_over
    )
    try:
        outcome = run_stage(prepared, progress)
        while (following := current.later(accepted)) is not None:
            current, before = following, outcome
            for line in following.stage.chosen():
                progress.say(line)
            outcome = run_stage(following, progress)
            outcome = dataclasses.replace(
                outcome,
                stored=outcome.stored - before.measured,
                measured=before.measured + outcome.measured,
                scored=before.scored + outcome.scored,
            )
    except Interrupted as error:
        if budget is None or stop() or not budget.is_spent():
            raise
        left = _left(current)
        raise OutOfBudget(f"the budget of {budget.text} is spent; {left}") from error
    return outcome


def _left(prepared: Prepared) -> str:
    """Say how many trials are left, and with which seeds all that is compared is measured."""
    store, stage = prepared.store, prepared.stage
    keys = [trial.key for trial in prepared.trials]
    left = set(pending(store.held(keys), keys))
    begun = sum(store.partial_file(key).exists() for key in left)
    replicate = MEASUREMENTS[prepared.experiment.measure].replicate
    complete = ", ".join(map(str, stage.complete(left))) or "none yet"
    more = f", and at most {stage.more} more {stage.more_when}" if stage.more else ""
    return (
        f"{len(left)} of {len(keys)} trials are left ({begun} begun){more}; {replicate}s measured "
        f"with every arm: {complete}"
    )


def _run_stage(
    prepared: Prepared,
    progress: Progress,
    *,
    accepted: dict[str, Stale],
    accept_stale: bool,
    warn: Callable[[str], None],
    stop: Stop,
) -> Outcome:
    """Measure what is planned now and is not stored yet; add to what is ``accepted``."""
    experiment, trials, store = prepared.experiment, prepared.trials, prepared.store
    stage = prepared.stage
    if stage.said:
        progress.say(stage.said)
    keys = [trial.key for trial in trials]
    waiting = set(pending(store.held(keys), keys))
    ahead = [trial for trial in trials if trial.key in waiting]
    for model in dict.fromkeys(trial.arm.settings.model for trial in ahead):
        models.architecture(model).fetch()
    if MEASUREMENTS[experiment.measure].trains:
        for line in data_check.check(ahead, experiment.measure, prepared.root):
            warn(line)
    store.check_writable()
    with reconcile.joined(store, trials, warn) as alone:
        with alone:
            found = reconcile.review(store, trials, accept_stale=accept_stale)
            for line in found.lines():
                warn(line)
            # Names may be no text.
            command = prepared.command.encode(errors="backslashreplace").decode()
            described = plan.describe(
                experiment,
                stage.reported,
                command,
                found.accepted,
                folder=store.folder,
                tuning=stage.tuning,
                more=stage.more,
            )
            store.write_plan(described)
            if stage.look is not None:
                looks.remember(store, stage.look)
            accepted |= found.accepted
            records = store.held(keys)
        wanted = pending(records, (key for key in keys if key not in found.accepted))
        jobs = _jobs(prepared, records, wanted)
        scored = sum(job.training is not None for job in jobs)
        stored = len(trials) - len(wanted)
        if jobs or not stage.said:  # after the last look there is nothing to be measured
            with progress.sweep(stored + len(jobs), stored=stored, stage=stage.name):
                records |= measure(jobs, prepared.executor, progress, stop, warn)
    records |= {key: stale.record for key, stale in found.accepted.items()}
    ended = [records[key] for key in keys if key in records]
    failed = tuple(record for record in ended if not is_result(record))
    return Outcome(stored, len(jobs), failed, scored)


def _jobs(prepared: Prepared, records: Mapping[str, Record], wanted: Iterable[str]) -> list[Job]:
    """Return what is to be measured, in the order of measuring."""
    keys, experiment, store = set(wanted), prepared.experiment, prepared.store
    stored = stored_trainings(prepared, keys)
    order = plan.measuring_order(experiment, prepared.trials)
    if prepared.budget is not None:
        order = first_things_first(
            experiment, prepared.stage, keys, lambda key: store.partial_file(key).exists()
        )
    return [
        Job(
            trial,
            experiment.name,
            MEASUREMENTS[experiment.measure],
            store,
            prepared.root,
            device=str(prepared.device),
            workers=prepared.workers,
            attempts=records[trial.key].attempts if trial.key in records else 0,
            training=stored.get(trial.key),
            accept_busy=prepared.accept_busy,
        )
        for trial in order
        if trial.key in keys
    ]


def stored_trainings(prepared: Prepared, wanted: set[str]) -> dict[str, StoredTraining]:
    """Return the stored training of each trial that differs from it only in how it is scored."""
    kind, store = prepared.experiment.measure, prepared.store
    if not MEASUREMENTS[kind].trains or not trainings.anything_stored(store):
        return {}
    trials = [trial for trial in prepared.trials if trial.key in wanted]
    same = {trial.key: plan.same_training(kind, trial, prepared.root) for trial in trials}
    return trainings.find(store, same)
