"""The results of an experiment as data frames: what ``bench.load`` and ``bench.run`` return."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.report.tables.registry import TABLES


@dataclass(frozen=True)
class ExperimentResults:
    """The tables that a report writes as CSV files; ``analysis`` is what they are made of."""

    analysis: Analysis

    @cached_property
    def trials(self) -> pd.DataFrame:
        """A row for each planned trial: settings of its arm, seed, status, and every score."""
        return TABLES["trials"](self.analysis)

    @cached_property
    def arms(self) -> pd.DataFrame:
        """A row for each arm: mean and standard deviation over seeds of every score."""
        return TABLES["arms"](self.analysis)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """A row for each comparison with the baseline: effect, 95 % interval, p, verdict."""
        return TABLES["comparisons"](self.analysis)
