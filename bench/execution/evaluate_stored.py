"""Score the stored networks of an experiment again: what ``python -m bench evaluate`` does."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from bench.data import registry
from bench.errors import UserError, nearest
from bench.evaluation.predict import VIEWS
from bench.execution import executors, scoring
from bench.execution.job import Job, Stop
from bench.execution.progress import Progress
from bench.execution.run_experiment import Outcome
from bench.execution.until_stored import measure
from bench.experiment import code_digest, data_digest, reconcile
from bench.experiment.reconcile import Review
from bench.experiment.trial import Arm, Trial
from bench.machine import environment
from bench.measurements import MEASUREMENTS
from bench.store import evaluations
from bench.store.folder import Store
from bench.store.plans import Plan, PlannedTrial
from bench.store.records import Record, is_result, pending
from bench.store.trainings import StoredTraining, weights_of

SPLITS = ("val", "test", "train")
MEASUREMENT = MEASUREMENTS["accuracy"]


@dataclass(frozen=True)
class Evaluation:
    """Stored networks of an experiment that can be scored; nothing is written yet.

    ``without`` has a line for each trial that was chosen and has no weights; ``other_code`` counts
    those chosen whose weights other code has trained.
    """

    trained: Store
    plan: Plan  # of the folder ``store``, in which the scores are stored
    store: Store
    jobs: tuple[Job, ...]
    without: tuple[str, ...]
    other_code: int
    device: torch.device


def prepare(
    trained: Store,
    *,
    split: str,
    tta: str | None = None,
    arm: str | None = None,
    seed: int | None = None,
    data: str | Path | None = None,
    device: str = "auto",
    command: str = "",
) -> Evaluation:
    """Find the networks of an experiment, and check that they can be scored on a split.

    ``tta`` None predicts as each trial was set to; ``arm`` and ``seed`` None choose all. UserError
    if an argument is wrong, or the dataset has no such split or other classes.
    """
    plan = _checked_plan(trained, split, tta)
    _check_chosen(plan, arm, seed)
    tta = _other(trained, plan, tta)
    root = Path(data or os.environ.get("BENCH_DATA") or "data")
    store, found = evaluations.store_of(trained, split, tta), environment.find_device(device)
    images = _Images(trained, root, split, tta)
    planned, jobs, without, other_code = [], [], [], 0
    for one in plan.labelled():
        chosen = arm in (None, one.label) and seed in (None, one.seed)
        record, why = _network(trained, one)
        if record is None:
            planned.append(one.key)
            without += [f"{one.label}, seed {one.seed}: {why}"] if chosen else []
            continue
        trial = _trial(images, record, one)
        planned.append(trial.key)
        if chosen:
            training = StoredTraining(trained, trained, record.key, shared=False)
            job = Job(trial, plan.name, MEASUREMENT, store, root, str(found), training=training)
            jobs.append(job)
            codes = (
                (trial.provenance[n], record.provenance.get(n)) for n in ("code", "components")
            )
            other_code += any(now != then for now, then in codes)
    scored = _plan_of_scores(plan, planned, command, store)
    return Evaluation(trained, scored, store, tuple(jobs), tuple(without), other_code, found)


def evaluate(
    prepared: Evaluation,
    progress: Progress,
    *,
    warn: Callable[[str], None] = lambda line: None,
    stop: Stop = lambda: False,
) -> Outcome:
    """Score every chosen network that has no such score yet; raises as ``run_experiment``."""
    store, trials = prepared.store, [job.trial for job in prepared.jobs]
    keys = [trial.key for trial in trials]
    store.check_writable()
    with (
        reconcile.joined(prepared.trained, (), warn) as others,
        reconcile.joined(store, trials, warn) as alone,
    ):
        others.close()  # from here on only renaming the experiment has to wait
        with alone:
            for line in _review_lines(reconcile.review(store, trials)):
                warn(line)
            store.write_plan(prepared.plan)
            records = store.held(keys)
        wanted = set(pending(records, keys))
        jobs = [
            replace(
                job, attempts=records[job.trial.key].attempts if job.trial.key in records else 0
            )
            for job in prepared.jobs
            if job.trial.key in wanted
        ]
        with progress.sweep(len(keys), stored=len(keys) - len(jobs)):
            perform = executors.usual(MEASUREMENT, prepared.device)
            records |= measure(jobs, perform, progress, stop, warn)
    failed = tuple(records[key] for key in keys if not is_result(records[key]))
    return Outcome(len(keys) - len(jobs), len(jobs), failed, len(jobs))


@dataclass(frozen=True)
class _Images:
    """On what the networks of a results folder are scored; ``root`` holds the datasets."""

    trained: Store
    root: Path
    split: str
    tta: str | None


def _checked_plan(trained: Store, split: str, tta: str | None) -> Plan:
    """Return the plan of networks that can be scored so; UserError if they cannot."""
    for option, name, known in (("split", split, SPLITS), ("tta", tta, tuple(VIEWS))):
        if name is not None and name not in known:
            raise UserError(f"--{option}: unknown {option} {name!r}{nearest(name, known)}")
    plan = trained.read_plan()
    if plan is None or not MEASUREMENTS[plan.measure].trains:
        raise UserError(f"{trained.folder.name}: trains no networks that could be scored")
    for name, given in (("evaluate.split", split), ("evaluate.tta", tta)):
        if given is not None and any(name in trial.arm for trial in plan.trials):
            raise UserError(f"{plan.name}: {name} is what its arms differ in, and cannot be set")
    return plan


def _check_chosen(plan: Plan, arm: str | None, seed: int | None) -> None:
    labels = dict.fromkeys(trial.label for trial in plan.labelled())
    if arm is not None and arm not in labels:
        raise UserError(f"{plan.name}: no arm {arm!r}{nearest(arm, labels)}")
    if seed is not None and seed not in plan.seeds:
        raise UserError(f"{plan.name}: no seed {seed}{nearest(str(seed), map(str, plan.seeds))}")


def _other(trained: Store, plan: Plan, tta: str | None) -> str | None:
    """Return None for the views that all trials are set to already."""
    held = trained.held(trial.key for trial in plan.trials).values()
    there = {record.settings.get("evaluate", {}).get("tta") for record in held}
    return None if there == {tta} else tta


def _network(trained: Store, planned: PlannedTrial) -> tuple[Record | None, str]:
    """Return the record of a trial that has weights; else None, and why there are none."""
    if not trained.has(planned.key):
        return None, "not measured yet"
    record = trained.read(planned.key)
    if record.status != "done":
        return None, f"{record.status}: {record.reason}"
    if weights_of(record) is None:
        file = trained.record_file(planned.key)
        return None, (
            "its weights were not kept; to train it again, set evaluate.checkpoint: true, remove "
            f"{file} and run"
        )
    return record, ""


def _trial(images: _Images, record: Record, planned: PlannedTrial) -> Trial:
    """Return a trial of the same settings on other images; its key has the weights' digest."""
    trained, split, tta = images.trained, images.split, images.tta
    before = record.settings.get("evaluate", {})
    wanted = {"split": split, "tta": before.get("tta", "none") if tta is None else tta}
    wanted |= _pictures(record)
    settings = scoring.settings_of(trained, record, {**wanted, "study": False})
    dataset = registry.load(settings.data.for_seed(record.seed), images.root)
    if record.accuracy is not None:
        scoring.check_fits(dataset, split, record.accuracy)
    effective = settings.effective(MEASUREMENT.name)
    provenance = {
        "data": data_digest.of_dataset(dataset, (split,)),
        "code": code_digest.of_measurement(MEASUREMENT.name),
        "components": code_digest.of_components(settings.components(MEASUREMENT.name)),
        "versions": environment.versions(),
        evaluations.WEIGHTS: Path(str(weights_of(record))).stem,
    }
    decides = {"settings": effective, "seed": record.seed, **provenance}
    key = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:20]
    arm = Arm(planned.label, planned.arm, settings, effective)
    return Trial(key, arm, record.seed, provenance, one_split=True)


def _pictures(record: Record) -> dict[str, Any]:
    """Return which pictures are to be kept: none that the trial itself did not keep.

    Its settings do not say, but somebody who may not pass photographs on has kept none of them.
    """
    examples = record.accuracy.examples if record.accuracy else ()
    if not examples:
        return {"panels": 0, "extremes": 0}
    return {} if any(one.image for one in examples) else {"pictures": "predictions"}


def _plan_of_scores(plan: Plan, keys: list[str], command: str, store: Store) -> Plan:
    """Return a plan with the keys of scores; a trial that has no weights keeps its own.

    Under that one the folder of the scores has no record: the trial counts as not run.
    """
    trials = (
        trial.model_copy(update={"key": key, "stale": ()})
        for trial, key in zip(plan.trials, keys, strict=True)
    )
    trained = store.folder.parent.parent
    folder = plan.folder and os.path.relpath(trained / plan.folder, store.folder)
    changes = {"trials": tuple(trials), "command": command, "folder": folder, "tuning": None}
    return plan.model_copy(update=changes)


def _review_lines(found: Review) -> Iterator[str]:
    """Say what was put aside."""
    for line in found.damaged:
        yield f"{line}; moved to damaged/, and scored again"
    counts = Counter(", ".join(one.differs) or "experiments" for one in found.archived)
    for what, n in counts.items():
        scores = "1 score is" if n == 1 else f"{n} scores are"
        yield f"{scores} of other {what}, and kept in {found.archive}"
