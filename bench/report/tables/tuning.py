"""Every trial of tuning, and every comparison at each of the values."""

from __future__ import annotations

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.analysis.effects.tuned_verdicts import Conclusion, Place
from bench.analysis.effects.tuning import Search, Values
from bench.report.content import words
from bench.report.tables.statistics import short
from bench.store.frame import Row, typed


def trials(results: Analysis) -> pd.DataFrame:
    """Return a row for each trial with the default, of tuning, and of the tuned arms.

    ``stage`` is ``default``, ``tuning`` or ``tuned``; ``chosen`` tells whether the values of a
    tuning trial are those that were chosen for its arm.
    """
    settings = () if results.plan.tuning is None else tuple(results.plan.tuning.grid)
    rows: list[Row] = []
    for one in results.searches:
        if results.untuned is not None:
            rows += _reported("default", results.untuned, one, one.default)
        for values, analysis in results.tried.items():
            tried = _reported("tuning", analysis, one, values)
            rows += [row | {"chosen": one.chosen_by(row["seed"]) == values} for row in tried]
        if one.chosen:
            rows += _reported("tuned", results, one, None)
    return typed(rows, ("stage", "key", "arm", *settings, "seed", "status", results.metric))


def effects(results: Analysis) -> pd.DataFrame:
    """Return a row for each comparison by default, tuned, and at each value that all arms had."""
    rows = [_effect(results, one, place) for one in results.conclusions for place in one.places]
    noun = words.noun(results.scale)
    return typed(rows, ("name", "conclusion", "where", noun, "low", "high", "verdict"))


def _reported(stage: str, results: Analysis, one: Search, values: Values | None) -> list[Row]:
    found = results.trials[results.trials["arm"] == one.arm]
    columns = ["key", "seed", "status", "seconds", results.metric]
    rows: list[Row] = []
    for cells in found[columns].itertuples(index=False, name=None):
        known = (None if pd.isna(cell) else cell for cell in cells)
        own = dict(zip(columns, known, strict=True))
        used = one.with_seed(cells[columns.index("seed")]) if stage == "tuned" else values
        rows.append({"stage": stage, "arm": one.arm, **dict(used or ()), **own})
    return rows


def _effect(results: Analysis, one: Conclusion, place: Place) -> Row:
    scale, contrast = results.scale, place.contrast
    where = {"where": place.where} if isinstance(place.where, str) else dict(place.where)
    numbers = {
        words.noun(scale): scale.back(contrast.difference),
        "low": scale.back(contrast.low),
        "high": scale.back(contrast.high),
        "error": contrast.error,
        "df": contrast.df,
        "p": contrast.p,
    }
    return {
        "name": one.name,
        "conclusion": one.kind,
        "where": "common",
        **where,
        **{name: short(value) for name, value in numbers.items()},
        "verdict": place.verdict,
        "failed_of_baseline": place.failed[0],
        "failed": place.failed[1],
    }
