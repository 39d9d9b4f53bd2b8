"""An experiment → its trials: arms × seeds, each with a key made of all that decides it."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import datasets, models, sources
from bench.config import DATASET_METRICS, Experiment, Levels, explain
from bench.datasets import Dataset, DatasetSettings, fingerprint
from bench.errors import UserError
from bench.trial import TrialSettings


@dataclass(frozen=True)
class Arm:
    """One combination of levels; ``levels`` names what makes it differ from the others."""

    label: str
    levels: Levels
    settings: TrialSettings


@dataclass(frozen=True)
class Trial:
    """One arm with one seed. ``provenance`` holds the digests of data and measuring code."""

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
    provenances = _provenances(experiment.measure, chosen, root)
    trials = []
    known: dict[str, str] = {}
    for seed, (arm, provenance) in itertools.product(
        experiment.seeds, zip(chosen, provenances, strict=True)
    ):
        key = _key(experiment.measure, arm.settings, seed, provenance)
        if key in known:
            raise UserError(
                f"{experiment.name}: arms {known[key]!r} and {arm.label!r} are the same trial "
                "(what differs is not read by this model); leave one out with exclude"
            )
        known[key] = arm.label
        trials.append(Trial(key, arm, seed, provenance))
    return trials


def arms(experiment: Experiment) -> list[Arm]:
    """List the arms of an experiment: those of its design, then the included ones."""
    designed = list(_designed(experiment))
    for row in experiment.exclude:
        if not any(_matches(levels, row) for levels in designed):
            raise UserError(f"{experiment.name}: exclude {_brief(row)} matches no arm")
    kept = [e for e in designed if not any(_matches(e, row) for row in experiment.exclude)]
    if baseline(experiment) not in kept:
        raise UserError(
            f"{experiment.name}: the baseline {_brief(baseline(experiment))} is excluded"
        )
    chosen = [(levels, levels) for levels in kept]
    chosen += [(row, {**baseline(experiment), **row}) for row in experiment.include]
    return [_arm(experiment, own, applied) for own, applied in chosen]


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


def describe(experiment: Experiment, trials: list[Trial], command: str) -> dict[str, Any]:
    """Return the plan as JSON: what a report has to know beside the records."""
    return {
        "name": experiment.name,
        "question": experiment.question,
        "measure": experiment.measure,
        "metric": experiment.metric,
        "design": experiment.design,
        "factors": experiment.factors,
        "baseline": baseline(experiment),
        "seeds": experiment.seeds,
        "command": command,
        "trials": [
            {"key": t.key, "arm": t.arm.levels, "label": t.arm.label, "seed": t.seed}
            for t in trials
        ],
    }


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


def _arm(experiment: Experiment, own: Levels, applied: Levels) -> Arm:
    values = experiment.base().model_dump()
    for name, level in applied.items():
        _set(values, name, level)
    label = " · ".join(_level_label(name, level) for name, level in own.items()) or experiment.name
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
    """Refuse a metric that only other datasets have."""
    if experiment.metric not in DATASET_METRICS:
        return
    for data in dict.fromkeys(arm.settings.data for arm in chosen):
        scores = datasets.load(data, root).scores
        if scores is None or experiment.metric not in scores.metrics:
            raise UserError(f"{experiment.name}: metric: {data.name} has no {experiment.metric}")


def _provenances(measure: str, chosen: list[Arm], root: Path) -> list[dict[str, str]]:
    """Return the digests of each arm, looking at each dataset once."""
    looked_at: dict[tuple[DatasetSettings, str], dict[str, str]] = {}
    for arm in chosen:
        data, split = arm.settings.data, arm.settings.evaluate.split
        if (data, split) not in looked_at:
            looked_at[data, split] = {
                "data": _data_digest(datasets.load(data, root), split),
                "code": sources.digest([f"bench.{measure}", f"bench.datasets.{data.name}"]),
            }
    return [looked_at[arm.settings.data, arm.settings.evaluate.split] for arm in chosen]


def _data_digest(dataset: Dataset, evaluated: str) -> str:
    """Digest what a trial sees: adding test images makes no trial on validation stale."""
    used = [name for name in ("train", "val", evaluated) if name in dataset.splits]
    return fingerprint(
        *dataset.classes, *(dataset.splits[name].fingerprint for name in dict.fromkeys(used))
    )


def _key(measure: str, settings: TrialSettings, seed: int, provenance: dict[str, str]) -> str:
    decides = {"measure": measure, "settings": settings.effective(), "seed": seed, **provenance}
    canonical = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]
