"""Samples: mean, standard deviation with degrees of freedom, t-interval; whether spreads differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, stdtrit

from bench.analysis.stats.constants import ALPHA


@dataclass(frozen=True)
class Sample:
    """A summary of n values; what n does not allow is NaN.

    Attributes:
        n: how many values.
        mean: NaN without any.
        sd: with n - 1 in its denominator; NaN for n < 2.
        low: end of the 95 % t-interval of the mean; NaN for n < 2.
        high: its other end.
    """

    n: int
    mean: float
    sd: float
    low: float
    high: float

    @property
    def df(self) -> int:
        """Degrees of freedom of the standard deviation."""
        return max(0, self.n - 1)


def describe(values: Iterable[float]) -> Sample:
    """Summarise values; those that are NaN are no values."""
    array = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    n = len(array)
    if n < 2:
        mean = float(array[0]) if n else math.nan
        return Sample(n, mean, math.nan, math.nan, math.nan)
    mean, sd = float(array.mean()), float(array.std(ddof=1))
    half = t_quantile(n - 1) * sd / math.sqrt(n)
    return Sample(n, mean, sd, mean - half, mean + half)


def t_quantile(df: float, alpha: float = ALPHA) -> float:
    """Return what Student's t exceeds in absolute value with probability ``alpha``."""
    return -float(stdtrit(df, alpha / 2))


def bartlett(samples: Iterable[Sample]) -> float:
    """Return p of the test that samples have one standard deviation; NaN with fewer than two.

    Source: Bartlett (1937).
    """
    known = [(sample.df, sample.sd**2) for sample in samples if sample.n > 1]
    if len(known) < 2:
        return math.nan
    df, variances = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))
    if not variances.all():
        return 0.0 if variances.any() else 1.0
    pooled = float(df @ variances / df.sum())
    statistic = float(df.sum() * math.log(pooled) - df @ np.log(variances))
    correction = 1 + float((1 / df).sum() - 1 / df.sum()) / (3 * (len(df) - 1))
    return float(chdtrc(len(df) - 1, max(0.0, statistic) / correction))
