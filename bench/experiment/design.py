"""The arms of an experiment: those of its design, then the included ones."""

from __future__ import annotations

import functools
import itertools
import json
import operator
from collections.abc import Iterable, Iterator
from typing import Any

from bench.components.names import is_path
from bench.errors import UserError, UserErrors
from bench.experiment.config import Experiment
from bench.experiment.levels import (
    Levels,
    applied,
    hashable,
    is_setting,
    named,
    names,
    sections,
    settings,
    without_name,
)
from bench.experiment.trial import Arm, TrialSettings
from bench.settings import check, in_order, paths
from bench.store.labels import Labels, text


def arms(experiment: Experiment, further: Levels | None = None) -> list[Arm]:
    """List the arms; UserError if some are wrong or ``exclude`` matches none, or the baseline.

    ``further`` settings, by dotted name, are those of all arms: no levels, and in no label.
    """
    kept = _kept(experiment)
    start = baseline(experiment)
    if start not in kept:
        raise UserError(f"{experiment.name}: the baseline {_brief(start)} is excluded")
    designs = [(_named(experiment, levels, start), levels, levels) for levels in kept]
    included = [(row, without_name(row), {**start, **row}) for row in experiment.include]
    found: list[Arm] = []
    wrong: dict[str, list[str]] = {}  # line → labels of the arms that it is about
    known = sections(paths(TrialSettings, base := experiment.base().model_dump()))
    of_several = named(experiment.factors)
    for shown, levels, applied_levels in designs + included:
        label = _label(experiment, shown)
        chosen = settings(of_several, applied_levels) | (further or {})
        values = applied(base, chosen, known)
        checked = check(TrialSettings, values, experiment.folder)
        if isinstance(checked, list):
            for mistake in in_order(checked, values):
                wrong.setdefault(mistake.line, []).append(label)
        else:
            found.append(Arm(label, levels, checked, checked.effective(experiment.measure)))
    if wrong:
        raise UserErrors(
            UserError(f"{experiment.name}: {_which(labels)}: {line}")
            for line, labels in wrong.items()
        )
    return found


def baseline(experiment: Experiment) -> Levels:
    """Return the declared baseline; undeclared, the base settings or each first level."""
    if experiment.baseline:
        return dict(experiment.baseline)
    base = experiment.base().model_dump()
    chosen = {}
    for name, levels in names(experiment.factors).items():
        value = (
            functools.reduce(operator.getitem, name.split("."), base) if is_setting(name) else None
        )
        chosen[name] = value if value in levels else levels[0]
    return chosen


def _designed(experiment: Experiment) -> Iterator[Levels]:
    factors = names(experiment.factors)
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
        matching = {one for one in found if one[1] in rows[one[0]]}
        matched |= matching
        if not matching:
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


def _which(labels: list[str]) -> str:
    more = f" (and {len(labels) - 1} more)" if len(labels) > 1 else ""
    return f"arm {labels[0]!r}{more}"


def _label(experiment: Experiment, shown: Levels) -> str:
    """Return what an arm is called: by name, or by the levels that make it differ."""
    if "name" in shown:
        return str(shown["name"])
    return (
        " · ".join(_level_label(name, level, experiment.labels) for name, level in shown.items())
        or experiment.name
    )


def _level_label(name: str, level: Any, labels: Labels) -> str:
    """Text needs no explanation; numbers and switches need their setting's name."""
    if text(level) in labels.levels.get(name, {}):
        return labels.level(name, level)
    if isinstance(level, str) and level != "none":
        return level.rpartition(":")[2] if is_path(level) and is_setting(name) else level
    if isinstance(level, dict) and isinstance(level.get("name"), str):
        return str(level["name"])
    return f"{name.rpartition('.')[2]} {level if isinstance(level, str) else json.dumps(level)}"


def _brief(levels: Levels) -> str:
    return "{" + ", ".join(f"{name}: {level}" for name, level in levels.items()) + "}"
