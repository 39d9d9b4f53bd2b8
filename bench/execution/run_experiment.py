"""Run an experiment: what ``python -m bench run`` and ``bench.run`` do."""

from __future__ import annotations

import dataclasses
import itertools
import os
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.errors import UserError
from bench.execution import data_check, executors
from bench.execution.executors import Executor
from bench.execution.job import Job, Stop
from bench.execution.progress import Progress
from bench.experiment import config, environment, layers, plan, reconcile, stages
from bench.experiment.config import Experiment
from bench.experiment.reconcile import Review, Stale
from bench.experiment.stages import Stage
from bench.experiment.trial import Trial
from bench.measurements import MEASUREMENTS
from bench.store import claims, trainings
from bench.store.folder import Store
from bench.store.records import Record, is_result, pending
from bench.store.trainings import StoredTraining
from bench.training import models
from bench.training.checkpointing import Interrupted

ATTEMPTS = 3  # at a trial whose measurement something disturbed, in one run
MOST_WORKERS = 8  # loader processes, unless a user asks for more
_POLL = 1.0  # seconds until it is looked again whether other runners are done


@dataclass(frozen=True)
class Prepared:
    """An experiment that can be run: what can be is planned, and nothing is written yet."""

    command: str  # that runs it, for the report
    experiment: Experiment
    stage: Stage
    store: Store
    root: Path
    device: torch.device
    workers: int
    executor: Executor

    @property
    def trials(self) -> list[Trial]:
        """The trials that are planned now; tuning may plan more later."""
        return self.stage.trials

    def later(self) -> Prepared | None:
        """Return the next stage, in which more is planned; None where nothing is."""
        if self.experiment.tune is None:
            return None
        following = stages.stage(self.experiment, self.root, self.store)
        if following.tuning == self.stage.tuning:
            return None
        return dataclasses.replace(self, stage=following)


@dataclass(frozen=True)
class Outcome:
    """What a run did: how many trials were stored before, how many it measured.

    ``failed`` holds every trial of the plan that ended badly, be it now or in an earlier run.
    """

    stored: int
    measured: int
    failed: tuple[Record, ...]
    scored: int = 0  # of those measured: with stored weights, without training


def prepare(
    experiment: Experiment | Mapping[str, Any] | str | Path,
    *,
    overrides: Sequence[str] = (),
    results: str | Path = "results",
    data: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    jobs: int | None = None,
    timeout: float | None = None,
    executor: str = "local",
    address: str | None = None,
) -> Prepared:
    """Read an experiment, plan its trials, and choose where they are measured.

    The arguments are those of ``bench.run``, and three more: loader ``workers`` (None for as many
    as there are cores, up to 8, on CUDA, else 0), ``timeout`` in seconds that a trial may take,
    and the ``address`` of a Ray cluster. UserError if any is wrong.
    """
    if isinstance(experiment, Experiment):
        command = f"bench.run({experiment.name})"
        if overrides:
            raise UserError("overrides: change the values that the Experiment is made of instead")
    elif isinstance(experiment, Mapping):
        values = layers.plain(experiment, "experiment")
        further = f", overrides={list(overrides)!r}" if overrides else ""
        command = f"bench.run({values!r}{further})"
        experiment = config.from_mapping(values, overrides)
    else:
        settings = [word for override in overrides for word in ("--set", override)]
        command = shlex.join(["python", "-m", "bench", "run", str(experiment), *settings])
        experiment = config.load(Path(experiment), overrides)
    found = environment.find_device(device)
    measurement = MEASUREMENTS[experiment.measure]
    perform = executors.choose(
        executor, measurement, found, jobs=jobs, timeout=timeout, address=address
    )
    if workers is None:
        workers = min(MOST_WORKERS, (os.cpu_count() or 1) - 1) if found.type == "cuda" else 0
    root = Path(data or os.environ.get("BENCH_DATA") or "data")
    # Ray's scheduler gives no trial to two nodes, and needs no locks.
    store = Store(Path(results) / experiment.name, needs_locks=executor != "ray")
    stage = stages.stage(experiment, root, store)
    return Prepared(command, experiment, stage, store, root, found, workers, perform)


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
    given a line for all that is put aside; asked to ``stop``, the run ends at the end of an epoch.

    Raises:
        UserError: if results cannot be written, those that are there cannot be moved, or images and
            masks are not what they should be.
        Interrupted: if it was asked to stop; finished trials are stored.
    """
    outcome = _run_stage(prepared, progress, accept_stale=accept_stale, warn=warn, stop=stop)
    following = prepared.later()
    while following is not None:
        before = outcome
        for line in following.stage.chosen():
            progress.say(line)
        outcome = _run_stage(following, progress, accept_stale=accept_stale, warn=warn, stop=stop)
        measured = before.measured + outcome.measured
        outcome = dataclasses.replace(
            outcome,
            stored=outcome.stored - before.measured,
            measured=measured,
            scored=before.scored + outcome.scored,
        )
        following = following.later()
    return outcome


def _run_stage(
    prepared: Prepared,
    progress: Progress,
    *,
    accept_stale: bool,
    warn: Callable[[str], None],
    stop: Stop,
) -> Outcome:
    """Measure what is planned now and is not stored yet."""
    experiment, trials, store = prepared.experiment, prepared.trials, prepared.store
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
            for line in _review_lines(found):
                warn(line)
            # Names may be no text.
            command = prepared.command.encode(errors="backslashreplace").decode()
            described = plan.describe(
                experiment,
                prepared.stage.reported,
                command,
                found.accepted,
                folder=store.folder,
                tuning=prepared.stage.tuning,
            )
            store.write_plan(described)
            records = store.held(keys)
        wanted = pending(records, (key for key in keys if key not in found.accepted))
        jobs = _jobs(prepared, records, wanted)
        scored = sum(job.training is not None for job in jobs)
        stored = len(trials) - len(jobs)
        with progress.sweep(len(trials), stored=stored, stage=prepared.stage.name):
            records |= measure(jobs, prepared.executor, progress, stop, warn)
    records |= {key: stale.record for key, stale in found.accepted.items()}
    failed = tuple(records[key] for key in keys if not is_result(records[key]))
    return Outcome(stored, len(jobs), failed, scored)


def _jobs(prepared: Prepared, records: Mapping[str, Record], wanted: Iterable[str]) -> list[Job]:
    """Return what is to be measured, in the order of measuring."""
    keys, experiment = set(wanted), prepared.experiment
    stored = stored_trainings(prepared, keys)
    return [
        Job(
            trial,
            experiment.name,
            MEASUREMENTS[experiment.measure],
            prepared.store,
            prepared.root,
            device=str(prepared.device),
            workers=prepared.workers,
            attempts=records[trial.key].attempts if trial.key in records else 0,
            training=stored.get(trial.key),
        )
        for trial in plan.measuring_order(experiment, prepared.trials)
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


def _review_lines(found: Review) -> Iterator[str]:
    """Say what was put aside."""
    for line in found.damaged:
        yield f"{line}; moved to damaged/, and measured again"
    kept = f"kept in {found.archive}; --accept-stale takes finished ones as they are"
    for records in _by_difference(found.archived):
        yield f"{records}: measured again ({kept})"
    for records in _by_difference(found.accepted.values()):
        yield f"{records}: taken as they are (--accept-stale)"


def _by_difference(stale: Iterable[Stale]) -> list[str]:
    """Return how many trials were stored, and for what other than is planned."""
    counts = Counter(", ".join(one.differs) or "experiments" for one in stale)
    return [f"{n} trial{'s' * (n > 1)} stored for other {what}" for what, n in counts.items()]
