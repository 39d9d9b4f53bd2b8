"""The levels of factors: values of one setting each, or names of several settings together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.experiment.layers import merge
from bench.experiment.trial import TrialSettings

Levels = dict[str, Any]  # factor or dotted setting → its level or value in one arm
Factors = Mapping[str, Sequence[Any]]
Named = dict[str, dict[str, Levels]]  # factor of several settings → name of a level → what it sets

SECTIONS = TrialSettings.keys().keys()  # the first parts of the names of settings


def named(factors: Factors) -> Named:
    """Return the factors whose levels set several settings each, under a name."""
    return {
        factor: {level["name"]: without_name(level) for level in levels}
        for factor, levels in factors.items()
        if not is_setting(factor)
    }


def names(factors: Factors) -> dict[str, list[Any]]:
    """Return factor → its levels as arms have them: values, or names of several settings."""
    of_several = named(factors)
    return {factor: list(of_several.get(factor, levels)) for factor, levels in factors.items()}


def settings(of_several: Named, row: Levels) -> Levels:
    """Return dotted setting → value: what the levels of a row stand for; single ones win."""
    found: Levels = {}
    for name in row.keys() & of_several.keys():
        found |= of_several[name][row[name]]
    alone = {name: value for name, value in row.items() if name not in of_several}
    return found | without_name(alone)


def applied(values: Mapping[str, Any], chosen: Levels, sections: frozenset[str]) -> dict[str, Any]:
    """Return settings with others in their place, by dotted name.

    A whole section is laid over the one that is there, unless it is that of another dataset.
    """
    found = dict(values)
    for name, value in chosen.items():
        found = _replaced(found, name.split("."), value, section=name in sections)
    return found


def is_setting(name: str) -> bool:
    """Tell whether a name is, or tries to be, that of a setting, and not of several together."""
    return "." in name or name in SECTIONS


def sections(known: Iterable[str]) -> frozenset[str]:
    """Return which of the dotted names of all settings are those of sections."""
    return frozenset(name.rpartition(".")[0] for name in known)


def hashable(level: Any) -> Any:
    """Return what can be looked up in a set in place of a level, and is equal where levels are."""
    if isinstance(level, dict):
        return frozenset((key, hashable(value)) for key, value in level.items())
    if isinstance(level, list | tuple):
        return tuple(map(hashable, level))
    return level


def without_name(row: Levels) -> Levels:
    """Return what a named level, or a further arm, sets."""
    return {key: value for key, value in row.items() if key != "name"}


def _replaced(
    values: dict[str, Any], path: Sequence[str], value: Any, *, section: bool
) -> dict[str, Any]:
    """Return settings with another value at a path; what lies beside the path is shared."""
    name, *rest = path
    below = values.get(name)
    if rest:
        value = _replaced(below if isinstance(below, dict) else {}, rest, value, section=section)
    elif section and isinstance(below, dict) and isinstance(value, dict):
        same = name != "data" or value.get("name", below.get("name")) == below.get("name")
        value = merge(below, value) if same else value
    return {**values, name: value}
