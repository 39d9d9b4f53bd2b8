"""How runs ended by arm, and comparisons of how often they did not train and of those that did."""

from __future__ import annotations

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.analysis.effects.collapse import Outcomes
from bench.report.content import words
from bench.report.tables.statistics import short
from bench.store.frame import Row, typed


def arms(results: Analysis) -> pd.DataFrame:
    """Return a row for each arm; no rows where all runs trained, as far as is known."""
    found = results.collapse
    if found is None:
        return typed([], ("arm",))
    rows = [
        {"arm": label, **_ended(one), "seeds": " ".join(map(str, found.seeds[label]))}
        for label, one in found.arms.items()
    ]
    return typed(rows, ("arm",))


def effects(results: Analysis) -> pd.DataFrame:
    """Return a row for each comparison: whether runs train as often, and the means of those."""
    found, scale = results.collapse, results.scale
    if found is None:
        return typed([], ("name",))
    compared = {one.name: one for one in found.trained}
    rows: list[Row] = []
    for test in found.tests:
        row: Row = {"name": test.name}
        for side, ended in (("level", test.level), ("baseline", test.baseline)):
            row |= {f"{side}_runs": ended.runs, f"{side}_failed": ended.failed}
        row |= {"p": short(test.p), "p_corrected": short(test.p_adjusted)}
        if (one := compared.get(test.name)) is not None:
            ends = {"low": one.low, "high": one.high}
            effect = {words.noun(scale): one.contrast.difference, **ends}
            row |= {f"trained_{name}": short(scale.back(value)) for name, value in effect.items()}
            row |= {"trained_p_corrected": short(one.p_adjusted), "trained_seeds": one.seeds}
            row |= {"trained_verdict": one.verdict, "trained_reason": one.reason}
        rows.append(row)
    return typed(rows, ("name",))


def _ended(one: Outcomes) -> Row:
    low, high = one.bounds
    counts = {name: getattr(one, name) for name in ("trained", "collapsed", "diverged", "unknown")}
    return {**counts, "low": short(low), "high": short(high)}
