"""The arms of an experiment: those of its design, then the included ones."""

from __future__ import annotations

import functools
import itertools
import json
import operator
from collections.abc import Iterable, Iterator
from typing import Any

from bench.components.names import is_path
from bench.errors import UserError
from bench.experiment.config import Experiment, Levels, hashable
from bench.experiment.trial import Arm, TrialSettings
from bench.settings import validate


def arms(experiment: Experiment) -> list[Arm]:
    """List the arms; UserError if one is wrong or ``exclude`` matches none, or the baseline."""
    kept = _kept(experiment)
    start = baseline(experiment)
    if start not in kept:
        raise UserError(f"{experiment.name}: the baseline {_brief(start)} is excluded")
    base = experiment.base().model_dump()
    designs = [(_named(experiment, levels, start), levels, levels) for levels in kept]
    included = [(row, row, {**start, **row}) for row in experiment.include]
    return [_arm(experiment, base, *one) for one in designs + included]


def baseline(experiment: Experiment) -> Levels:
    """Return the declared baseline; undeclared, the base settings or each first level."""
    if experiment.baseline:
        return dict(experiment.baseline)
    base = experiment.base().model_dump()
    chosen = {}
    for name, levels in experiment.factors.items():
        value = functools.reduce(operator.getitem, name.split("."), base)
        chosen[name] = value if value in levels else levels[0]
    return chosen


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


def _kept(experiment: Experiment) -> list[Levels]:
    """List the combinations that ``exclude`` leaves; UserError if a row of it matches none."""
    rows: dict[tuple[str, ...], set[Any]] = {}  # factors that rows name → their levels in each
    for row in experiment.exclude:
        rows.setdefault(tuple(row), set()).add(_levels_of(row, row))
    kept, matched = [], set()
    for levels in _designed(experiment):
        found = {(names, _levels_of(levels, names)) for names in rows}
        hits = {one for one in found if one[1] in rows[one[0]]}
        matched |= hits
        if not hits:
            kept.append(levels)
    for row in experiment.exclude:
        if (tuple(row), _levels_of(row, row)) not in matched:
            raise UserError(f"{experiment.name}: exclude {_brief(row)} matches no arm")
    return kept


def _levels_of(levels: Levels, names: Iterable[str]) -> tuple[Any, ...]:
    return tuple(hashable(levels[name]) for name in names)


def _named(experiment: Experiment, levels: Levels, start: Levels) -> Levels:
    """Return the levels that an arm of the design is named by: of one factor, or of all."""
    if experiment.design == "full_factorial" or levels == start:
        return levels
    return {name: level for name, level in levels.items() if level != start[name]}


def _arm(
    experiment: Experiment, base: dict[str, Any], named: Levels, levels: Levels, applied: Levels
) -> Arm:
    """Return the arm of some levels, labelled by those in ``named``, with others applied too."""
    values = base
    for name, level in applied.items():
        values = _replaced(values, name.split("."), level)
    label = " · ".join(itertools.starmap(_level_label, named.items())) or experiment.name
    source, folder = f"{experiment.name}: arm {label!r}", experiment.folder
    settings = validate(TrialSettings, values, source=source, folder=folder)
    return Arm(label, levels, settings, settings.effective(experiment.measure))


def _level_label(name: str, level: Any) -> str:
    """Text needs no explanation; numbers and switches need their setting's name."""
    if isinstance(level, str) and level != "none":
        return level.rpartition(":")[2] if is_path(level) else level
    if isinstance(level, dict) and isinstance(level.get("name"), str):
        return str(level["name"])
    return f"{name.rpartition('.')[2]} {level if isinstance(level, str) else json.dumps(level)}"


def _brief(levels: Levels) -> str:
    return "{" + ", ".join(f"{name}: {level}" for name, level in levels.items()) + "}"


def _replaced(values: dict[str, Any], path: list[str], level: Any) -> dict[str, Any]:
    """Return settings with another value at a path; what lies beside the path is shared."""
    name, *rest = path
    return {**values, name: _replaced(values[name], rest, level) if rest else level}
