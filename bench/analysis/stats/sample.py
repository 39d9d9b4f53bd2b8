"""Samples: mean, standard deviation, t-interval; whether standard deviations differ."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, stdtrit

ALPHA = 0.05  # of every family of comparisons; intervals are of 1 - ALPHA


@dataclass(frozen=True)
class Sample:
    """A summary of n values; what n does not allow is NaN.

    ``sd`` has n - 1 in its denominator; ``low`` and ``high`` are the ends of the 95 % t-interval
    of the mean.
    """

    n: int
    mean: float = math.nan
    sd: float = math.nan
    low: float = math.nan
    high: float = math.nan

    @property
    def df(self) -> int:
        """Degrees of freedom of the standard deviation."""
        return max(0, self.n - 1)


def describe(values: Iterable[float]) -> Sample:
    """Summarise values; NaN counts as missing."""
    array = np.array([value for value in values if not math.isnan(value)], dtype=np.float64)
    n = len(array)
    if n < 2:
        return Sample(n, *array.tolist())
    mean, sd = float(array.mean()), float(array.std(ddof=1))
    half = t_quantile(n - 1) * sd / math.sqrt(n)
    return Sample(n, mean, sd, mean - half, mean + half)


def t_quantile(df: float, alpha: float = ALPHA) -> float:
    """Return what Student's t exceeds in absolute value with probability ``alpha``."""
    return -float(stdtrit(df, alpha / 2))


def bartlett(samples: Iterable[Sample]) -> float:
    """Return p of the test that samples have one standard deviation; NaN with fewer than two.

    Source: Bartlett (1937). ``scipy.stats.bartlett`` takes the values themselves, warns of spreads
    that are 0, and takes more than a second to import.
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
