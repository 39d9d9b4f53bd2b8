"""All that is wrong with factors, baseline, include and exclude, as they stand in a file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.experiment.levels import (
    SECTIONS,
    Levels,
    applied,
    hashable,
    is_setting,
    names,
    sections,
    without_name,
)
from bench.experiment.trial import TrialSettings
from bench.settings import Mistake, check, suggestion

MAX_TRIALS = 1_000_000  # of one experiment
_TRIED = 1000  # levels of a factor; the others are tried when arms are made of them
_FORM = "{name: Dice at 1e-3, train.loss: dice, train.learning_rate: 1.0e-3}"

Right = Mapping[str, Mapping[Any, Any]]  # factor without mistakes → hashable level → the level


@dataclass(frozen=True)
class _File:
    """The values of an experiment, and the dotted names of all settings that it can have."""

    values: Mapping[str, Any]
    known: Sequence[str]
    folder: Path  # that names of the user's own components are relative to

    @cached_property
    def sections(self) -> frozenset[str]:
        """The dotted names of sections."""
        return sections(self.known)

    @cached_property
    def factors(self) -> dict[str, list[Any]]:
        """The factors that have a list of levels; of others pydantic says what is wrong."""
        factors = self.values.get("factors")
        pairs = factors.items() if isinstance(factors, Mapping) else ()
        return {str(name): found for name, found in pairs if isinstance(found, list)}

    def rows(self, section: str) -> list[tuple[tuple[Any, ...], Levels]]:
        """Return where each row of a section stands, and the row."""
        found = self.values.get(section)
        rows = enumerate(found) if isinstance(found, list) else ()
        return [((section, i), row) for i, row in rows if isinstance(row, dict)]

    def leaves(self, chosen: Levels) -> set[str]:
        """Return the dotted names of what settings change: of a section, what is in it."""
        found = set()
        for name, value in chosen.items():
            other_data = name == "data" and isinstance(value, dict) and "name" in value
            if isinstance(value, dict) and name in self.sections and not other_data:
                found |= self.leaves({f"{name}.{key}": below for key, below in value.items()})
            else:
                found.add(name)
        return found

    def wrong(self, chosen: Levels) -> Iterator[tuple[str, str]]:
        """Yield (dotted setting, line) of each value that its setting does not take.

        Whether settings fit each other is asked of whole arms.
        """
        given = {key: self.values[key] for key in SECTIONS & self.values.keys()}
        found = applied(given, chosen, self.sections)
        mistakes = check(TrialSettings, found, self.folder)
        for mistake in mistakes if isinstance(mistakes, list) else ():
            for name in chosen:
                parts = tuple(name.split("."))
                if mistake.path[: len(parts)] == parts and not mistake.together:
                    yield name, mistake.line


def mistakes(values: Mapping[str, Any], known: Sequence[str], folder: Path) -> list[Mistake]:
    """Return all mistakes in what is varied, but not those that follow from others.

    ``known`` are the dotted names of all settings. What is no list or mapping, where one is wanted,
    is left to pydantic.
    """
    file = _File(values, known, folder)
    found = list(_too_many(file))
    few = not found
    for factor, levels in file.factors.items():
        found += _of_factor(file, factor, levels, values_too=few)
    wrong = {mistake.path[1] for mistake in found if len(mistake.path) > 1}
    right = {name: levels for name, levels in file.factors.items() if name not in wrong}
    found += _overlaps(file, right)
    levels_of = {name: {hashable(v): v for v in levels} for name, levels in names(right).items()}
    found += _of_baseline(file, levels_of)
    for section, row in file.rows("exclude"):
        found += _of_levels(file, section, row, levels_of)
    for section, row in file.rows("include"):
        found += _of_arm(file, section, row, levels_of)
    return found


def _too_many(file: _File) -> Iterator[Mistake]:
    """Refuse more trials than are planned in a reasonable time."""
    sizes = [max(1, len(levels)) for levels in file.factors.values()]
    if file.values.get("design") == "one_at_a_time":  # the baseline, each other level alone
        designed = 1 + sum(size - 1 for size in sizes)
    else:
        designed = math.prod(sizes)
    included, seeds = len(file.rows("include")), file.values.get("seeds")
    repeated = len(seeds) if isinstance(seeds, list) else 1
    if isinstance(seeds, int) and seeds <= MAX_TRIALS:  # more are refused as such
        repeated = seeds
    trials = (designed + included) * repeated
    if trials > MAX_TRIALS:
        named = " and ".join(name for name in ("factors", "include") if file.values.get(name))
        line = f"{named or 'seeds'}: they make {trials} trials; at most {MAX_TRIALS}"
        yield Mistake(((named or "seeds").partition(" ")[0],), line)


def _of_factor(
    file: _File, factor: str, levels: list[Any], *, values_too: bool
) -> Iterator[Mistake]:
    path, where = ("factors", factor), f"factors.{factor}"
    alone = factor in file.known
    if not alone and (is_setting(factor) or not all(isinstance(one, dict) for one in levels)):
        hint = suggestion(factor, file.known)
        if not hint and not is_setting(factor):
            hint = f"; several settings together are levels such as {_FORM}"
        yield Mistake(path, f"factors: {factor!r} is no setting{hint}")
        return
    if not levels:
        yield Mistake(path, f"{where}: has no levels")
    seen = set()
    for number, level in enumerate(levels):
        if not alone:
            yield from _of_named_level(file, path, level)
        elif values_too and number < _TRIED:
            for name, line in file.wrong({factor: level}):
                yield Mistake(path, f"factors.{line}" if line.startswith(name) else line)
        same = hashable(level if alone else level.get("name"))
        if same in seen:
            yield Mistake(path, f"{where}: level {level if alone else same!r} is given twice")
        seen.add(same)


def _of_named_level(file: _File, path: tuple[Any, ...], level: Levels) -> Iterator[Mistake]:
    where, name = ".".join(path), level.get("name")
    if not isinstance(name, str) or not name.strip():
        given = "" if name is None else f" (got {name!r})"
        yield Mistake(path, f"{where}: each level wants a name in text{given}: {_FORM}")
        return
    where, chosen = f"{where}: {name}", without_name(level)
    if not chosen:
        yield Mistake(path, f"{where}: sets nothing")
    yield from _of_settings(file, path, where, chosen)
    for one, other in itertools.combinations(chosen.items(), 2):
        for both in _clash(file.leaves(dict([one])), file.leaves(dict([other]))):
            yield Mistake(path, f"{where}: sets {both} twice")


def _of_settings(
    file: _File, path: tuple[Any, ...], where: str, chosen: Levels
) -> Iterator[Mistake]:
    """Yield what is wrong with settings and their values, a line that begins with ``where``."""
    unknown = [name for name in chosen if name not in file.known]
    for name in unknown:
        yield Mistake(path, f"{where}: {name!r} is no setting{suggestion(name, file.known)}")
    for _, line in file.wrong({name: v for name, v in chosen.items() if name not in unknown}):
        yield Mistake(path, f"{where}: {line}")


def _overlaps(file: _File, right: Mapping[str, list[Any]]) -> Iterator[Mistake]:
    """Refuse two factors that set the same setting: which of them holds would be left open."""
    changed = {}
    for factor, levels in right.items():
        rows = [
            {factor: level} if factor in file.known else without_name(level) for level in levels
        ]
        changed[factor] = set().union(*map(file.leaves, rows))
    for one, other in itertools.combinations(right, 2):
        for both in _clash(changed[one], changed[other])[:1]:
            line = f"factors.{other}: sets {both}, which factors.{one} sets too; leave it to one"
            yield Mistake(("factors", other), line)


def _clash(ones: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return the settings that are in both, be it as part of a section."""
    pairs = itertools.product(sorted(ones), sorted(others))
    return [
        max(a, b, key=len)
        for a, b in pairs
        if f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.")
    ]


def _of_baseline(file: _File, right: Right) -> Iterator[Mistake]:
    baseline = file.values.get("baseline")
    if not isinstance(baseline, dict) or not baseline:
        return
    yield from _of_levels(file, ("baseline",), baseline, right)
    missing = [name for name in right if name not in baseline]
    if missing and baseline.keys() <= file.factors.keys():
        line = f"baseline: says nothing about {', '.join(missing)}"
        yield Mistake(("baseline", missing[0]), line)


def _of_levels(file: _File, path: tuple[Any, ...], row: Levels, right: Right) -> Iterator[Mistake]:
    """Yield the names and levels of a row that no factor has, unless that follows from others."""
    for name, level in row.items():
        where = f"{path[0]}.{name}"
        if name not in file.factors:
            if right.keys() == file.factors.keys() or name not in file.known:
                hint = suggestion(str(name), file.factors)
                yield Mistake((*path, name), f"{where}: no such factor{hint}")
        elif name in right and hashable(level) not in right[name]:
            listed = ", ".join(map(str, right[name].values()))
            yield Mistake((*path, name), f"{where}: {level!r} is no level of it; known: {listed}")


def _of_arm(file: _File, path: tuple[Any, ...], row: Levels, right: Right) -> Iterator[Mistake]:
    """Yield what is wrong with a row of ``include``."""
    name = row.get("name", "-")
    if not isinstance(name, str) or not name.strip():
        yield Mistake((*path, "name"), f"include: a name is text (got {name!r})")
    factors = {
        one: level for one, level in row.items() if one in file.factors and one not in file.known
    }
    yield from _of_levels(file, path, factors, right)
    chosen = {one: v for one, v in without_name(row).items() if one not in factors}
    yield from _of_settings(file, path, "include", chosen)
    if not chosen and not factors:
        yield Mistake(path, "include: a further arm sets nothing")
