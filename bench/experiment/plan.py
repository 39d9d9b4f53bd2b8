"""An experiment → its trials: arms × seeds, each with a key made of all that decides it."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from bench import metrics
from bench.data import border_weights, registry
from bench.data.dataset import Dataset, DatasetSettings, fingerprint
from bench.errors import UserError, nearest
from bench.experiment import code_digest, environment
from bench.experiment.config import Experiment, Levels, explain
from bench.experiment.trial import TrialSettings
from bench.measurements import MEASUREMENTS
from bench.store.reconcile import Planned, Stale
from bench.training import losses, models


@dataclass(frozen=True)
class Arm:
    """One combination of levels; ``levels`` names what makes it differ from the others."""

    label: str
    levels: Levels
    settings: TrialSettings


@dataclass(frozen=True)
class Trial:
    """One arm with one seed. ``provenance`` holds digests of data, measuring code, versions."""

    key: str
    arm: Arm
    seed: int
    provenance: dict[str, str]


def plan(experiment: Experiment, root: Path) -> list[Trial]:
    """List the trials of an experiment, every arm with the first seed before the second.

    Args:
        experiment: what is varied.
        root: the folder that holds the datasets.

    Raises:
        UserError: if an arm cannot be, two arms are one, or data is missing.
    """
    chosen = arms(experiment)
    for model in dict.fromkeys(arm.settings.model for arm in chosen):
        models.check(model)
    _check_metric(experiment, chosen, root)
    _check_weights(chosen, root)
    _check_splits(experiment, chosen, root)
    provenances = _provenances(experiment.measure, chosen, root)
    made_of: dict[str, Arm] = {}
    for arm, provenance in zip(chosen, provenances, strict=True):
        digest = _digest(experiment.measure, arm.settings, provenance)
        if digest in made_of:
            raise UserError(
                f"{experiment.name}: arms {made_of[digest].label!r} and {arm.label!r} are the same "
                "trial (what differs is not read by this model); leave one out with exclude"
            )
        made_of[digest] = arm
    planned = list(zip(made_of.items(), provenances, strict=True))
    return [
        Trial(_key(digest, seed), arm, seed, provenance)
        for seed in experiment.seeds
        for (digest, arm), provenance in planned
    ]


def measuring_order(experiment: Experiment, trials: Sequence[Trial]) -> list[Trial]:
    """Return trials in the order in which to measure them.

    Times are taken in a random order within each repetition, the same for the same plan: what
    changes slowly, such as the machine's temperature, then meets every arm alike.
    """
    if not MEASUREMENTS[experiment.measure].shuffled:
        return list(trials)
    order = []
    for seed in dict.fromkeys(trial.seed for trial in trials):
        repetition = [trial for trial in trials if trial.seed == seed]
        chosen = np.random.default_rng([len(repetition), seed]).permutation(len(repetition))
        order += [repetition[index] for index in chosen]
    return order


def arms(experiment: Experiment) -> list[Arm]:
    """List the arms of an experiment: those of its design, then the included ones."""
    designed = list(_designed(experiment))
    for row in experiment.exclude:
        if not any(_matches(levels, row) for levels in designed):
            raise UserError(f"{experiment.name}: exclude {_brief(row)} matches no arm")
    kept = [e for e in designed if not any(_matches(e, row) for row in experiment.exclude)]
    start = baseline(experiment)
    if start not in kept:
        raise UserError(f"{experiment.name}: the baseline {_brief(start)} is excluded")
    named = [_named(experiment, levels, start) for levels in kept]
    chosen = list(zip(named, kept, kept, strict=True))
    chosen += [(row, row, {**start, **row}) for row in experiment.include]
    return [_arm(experiment, *one) for one in chosen]


def baseline(experiment: Experiment) -> Levels:
    """Return the declared baseline; undeclared, the base settings or each first level."""
    if experiment.baseline:
        return dict(experiment.baseline)
    base = experiment.base().model_dump()
    chosen = {}
    for name, levels in experiment.factors.items():
        value = _get(base, name)
        chosen[name] = value if value in levels else levels[0]
    return chosen


def planned(experiment: Experiment, trials: Sequence[Trial]) -> list[Planned]:
    """Return what the records of trials have to come from."""
    settings = {id(t.arm): t.arm for t in trials}
    effective = {one: arm.settings.effective(experiment.measure) for one, arm in settings.items()}
    examples = {type(arm.settings.data): arm.settings for arm in settings.values()}
    defaults = {
        data: {section: getattr(one, section).defaults() for section in TrialSettings.model_fields}
        for data, one in examples.items()
    }
    return [
        Planned(
            key=trial.key,
            arm=trial.arm.levels,
            seed=trial.seed,
            settings=effective[id(trial.arm)],
            provenance=trial.provenance,
            defaults=defaults[type(trial.arm.settings.data)],
        )
        for trial in trials
    ]


def describe(
    experiment: Experiment,
    trials: list[Trial],
    command: str,
    accepted: Mapping[str, Stale] | None = None,
) -> dict[str, Any]:
    """Return the plan as JSON: what a report has to know beside the records.

    Args:
        experiment: what is varied.
        trials: its plan.
        command: the line that ran it.
        accepted: key of a trial → the record of another version that is taken for it.
    """
    return {
        "name": experiment.name,
        "question": experiment.question,
        "measure": experiment.measure,
        "metric": experiment.metric,
        "design": experiment.design,
        "factors": experiment.factors,
        "baseline": baseline(experiment),
        "equivalence": experiment.equivalence,
        "seeds": experiment.seeds,
        "command": command,
        "trials": [
            {"key": t.key, "arm": t.arm.levels, "label": t.arm.label, "seed": t.seed}
            | _taken(t.key, accepted or {})
            for t in trials
        ],
    }


def _taken(key: str, accepted: Mapping[str, Stale]) -> dict[str, Any]:
    """Say of a trial whose record comes from another version which that is, and what differs."""
    if key not in accepted:
        return {}
    return {"key": accepted[key].record.key, "stale": list(accepted[key].differs)}


def _designed(experiment: Experiment) -> Iterator[Levels]:
    factors = experiment.factors
    if experiment.design == "full_factorial":
        for combination in itertools.product(*factors.values()):
            yield dict(zip(factors, combination, strict=True))
        return
    start = baseline(experiment)
    yield start
    for name, levels in factors.items():
        yield from ({**start, name: level} for level in levels if level != start[name])


def _named(experiment: Experiment, levels: Levels, start: Levels) -> Levels:
    """Return the levels that an arm of the design is named by: of one factor, or of all."""
    if experiment.design == "full_factorial" or levels == start:
        return levels
    return {name: level for name, level in levels.items() if level != start[name]}


def _arm(experiment: Experiment, named: Levels, own: Levels, applied: Levels) -> Arm:
    values = experiment.base().model_dump()
    for name, level in applied.items():
        _set(values, name, level)
    label = " · ".join(itertools.starmap(_level_label, named.items())) or experiment.name
    try:
        return Arm(label, own, TrialSettings.model_validate(values))
    except ValidationError as error:
        raise UserError(f"{experiment.name}: arm {label!r}: {explain(error)}") from error


def _level_label(name: str, level: Any) -> str:
    """Words speak for themselves; numbers and switches need their setting's name."""
    if isinstance(level, str) and level != "none":
        return level
    if isinstance(level, dict) and isinstance(level.get("name"), str):
        return str(level["name"])
    return f"{name.rpartition('.')[2]} {level if isinstance(level, str) else json.dumps(level)}"


def _brief(levels: Levels) -> str:
    return "{" + ", ".join(f"{name}: {level}" for name, level in levels.items()) + "}"


def _matches(levels: Levels, row: Levels) -> bool:
    return all(levels.get(name) == level for name, level in row.items())


def _get(values: dict[str, Any], name: str) -> Any:
    for part in name.split("."):
        values = values[part]
    return values


def _set(values: dict[str, Any], name: str, level: Any) -> None:
    *sections, last = name.split(".")
    for part in sections:
        values = values[part]
    values[last] = level


def _check_metric(experiment: Experiment, chosen: list[Arm], root: Path) -> None:
    """Refuse a metric that only other datasets have, or that means another thing in each arm."""
    metric = metrics.find(experiment.metric)
    if metric.of == "batch":
        sizes = sorted({arm.settings.train.batch_size for arm in chosen})
        if len(sizes) > 1:
            raise UserError(
                f"{experiment.name}: metric: {experiment.metric} is of a whole batch, and arms "
                f"have batches of {', '.join(map(str, sizes))}; images_per_second compares them"
            )
    _, of_class = metrics.split(experiment.metric)
    if metric.of != "dataset" and of_class is None:
        return
    for data in dict.fromkeys(arm.settings.data for arm in chosen):
        dataset = registry.load(data, root)
        if of_class is not None and of_class not in dataset.classes:
            hint = nearest(of_class, dataset.classes)
            raise UserError(
                f"{experiment.name}: metric: {data.name} has no class {of_class!r}{hint}"
            )
        scores = dataset.scores.metrics if dataset.scores is not None else ()
        if metric.of == "dataset" and metric.name not in scores:
            raise UserError(f"{experiment.name}: metric: {data.name} has no {metric.name}")


def _check_weights(chosen: list[Arm], root: Path) -> None:
    """Refuse border weights of cells that a dataset does not have."""
    weighted = [arm.settings for arm in chosen if losses.takes_weights(arm.settings.train.loss)]
    for data, weights in dict.fromkeys((one.data, one.train.border_weights) for one in weighted):
        border_weights.check(registry.load(data, root), weights)


def _check_splits(experiment: Experiment, chosen: list[Arm], root: Path) -> None:
    """Refuse to score a split that the dataset does not have, or to choose an epoch by it."""
    if not MEASUREMENTS[experiment.measure].trains:
        return
    for data, wanted in dict.fromkeys((arm.settings.data, arm.settings.evaluate) for arm in chosen):
        known = registry.load(data, root).splits
        for name in (wanted.split, *(["val"] if wanted.keep == "best" else [])):
            if name not in known:
                raise UserError(
                    f"{experiment.name}: evaluate: {data.name} has no {name} split here; "
                    f"it has {', '.join(known)}"
                )


def _provenances(measure: str, chosen: list[Arm], root: Path) -> list[dict[str, str]]:
    """Return the digests of each arm, looking at each dataset once."""
    looked_at: dict[tuple[DatasetSettings, tuple[str, ...]], dict[str, str]] = {}
    found = []
    for arm in chosen:
        data, splits = arm.settings.data, arm.settings.splits(measure)
        if (data, splits) not in looked_at:
            looked_at[data, splits] = {
                "data": _data_digest(registry.load(data, root), splits),
                "code": code_digest.of_trial(measure, data.name),
                "versions": environment.versions(),
            }
        found.append(looked_at[data, splits])
    return found


def _data_digest(dataset: Dataset, splits: tuple[str, ...]) -> str:
    """Digest what a trial sees: adding test images makes no trial on validation stale."""
    used = [name for name in splits if name in dataset.splits]
    read = [dataset.splits[name].fingerprint for name in used]
    # Without images, the number of channels is what is left beside the classes.
    return fingerprint(*dataset.classes, *(read or [f"{dataset.in_channels} channels"]))


def _digest(measure: str, settings: TrialSettings, provenance: dict[str, str]) -> str:
    """Digest everything that decides a result but the seed."""
    decides = {"measure": measure, "settings": settings.effective(measure), **provenance}
    canonical = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _key(digest: str, seed: int) -> str:
    return hashlib.sha256(f"{digest} {seed}".encode()).hexdigest()[:20]
