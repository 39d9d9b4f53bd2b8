"""Every comparison by every metric of a whole trial."""

from __future__ import annotations

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.other_metrics import ByMetric
from bench.report.content import words
from bench.report.content.other_metrics import verdict
from bench.report.tables.statistics import short
from bench.store.frame import Row, typed


def comparisons_by_metric(results: Analysis) -> pd.DataFrame:
    """Return a row for each comparison and metric, the experiment's first; none if it is alone."""
    others = results.by_other_metrics
    own = [ByMetric(results.metric, results.scale, results.effects.comparisons)] if others else []
    rows = [_row(by, one) for by in (*own, *others) for one in by.comparisons]
    return typed(rows, ("metric", "factor", "level", "baseline"))


def _row(by: ByMetric, one: Comparison) -> Row:
    scale = by.scale
    effects = {words.noun(scale): one.contrast.difference, "low": one.low, "high": one.high}
    return {
        "metric": by.metric,
        "factor": one.factor,
        "level": one.level,
        "baseline": one.baseline,
        **{name: short(scale.back(value)) for name, value in effects.items()},
        "p": short(one.contrast.p),
        "p_corrected": short(one.p_adjusted),
        "verdict": verdict(by, one),
    }
