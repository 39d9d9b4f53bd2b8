"""The numbers of a report as data frames: one function for each, one line below for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.report.tables import collapse, tuning
from bench.report.tables.other_metrics import comparisons_by_metric
from bench.report.tables.ranking import ranking
from bench.report.tables.statistics import anova, comparisons
from bench.report.tables.summaries import arms, is_balanced, levels, per_class, trials

__all__ = ["TABLES", "anova", "arms", "comparisons", "is_balanced", "levels", "per_class", "trials"]

TABLES: Mapping[str, Callable[[Analysis], pd.DataFrame]] = {
    "trials": trials,
    "levels": levels,
    "arms": arms,
    "per_class": per_class,
    "comparisons": comparisons,
    "comparisons_by_metric": comparisons_by_metric,
    "anova": anova,
    "collapse": collapse.arms,
    "collapse_effects": collapse.effects,
    "ranking": ranking,
    "tuning": tuning.trials,
    "tuning_effects": tuning.effects,
}
# Not written where they have no rows.
WHERE_ANY = frozenset(
    {"collapse", "collapse_effects", "comparisons_by_metric", "ranking", "tuning", "tuning_effects"}
)
