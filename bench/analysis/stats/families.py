"""p values corrected for the number of comparisons: Holm for any, Dunnett for many to one."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr

from bench.analysis.stats.constants import ALPHA
from bench.analysis.stats.sample import t_quantile


def holm(p: Sequence[float]) -> list[float]:
    """Return adjusted p values; NaN stays NaN and does not count.

    Source: Holm (1979). Valid whatever the dependence between the tests.
    """
    adjusted = list(p)
    order = sorted((value, i) for i, value in enumerate(p) if not math.isnan(value))
    largest = 0.0
    for step, (value, i) in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - step) * value))
        adjusted[i] = largest
    return adjusted


def dunnett(t: float, comparisons: int, df: float) -> float:
    """Return the adjusted p of one of several comparisons with the same control.

    Args:
        t: the difference in standard errors.
        comparisons: how many there are, all with the same number of runs.
        df: degrees of freedom of the one error that all of them share.

    Source: Dunnett (1955). Given the control's mean and the error, the comparisons are
    independent; both are integrated over here, so that nothing is random.
    """
    if math.isinf(t):
        return 0.0
    return min(1.0, max(0.0, 1.0 - _inside(abs(t), comparisons, df)))


@functools.lru_cache(maxsize=4096)
def dunnett_critical(comparisons: int, df: float, alpha: float = ALPHA) -> float:
    """Return what the largest of several |t| exceeds with probability ``alpha``."""
    low, high = t_quantile(df, alpha), t_quantile(df, alpha / comparisons)
    if comparisons == 1:
        return low

    def excess(t: float) -> float:
        return 1.0 - alpha - _inside(t, comparisons, df)

    return float(brentq(excess, 0.99 * low, 1.01 * high, xtol=1e-10))


@functools.lru_cache(maxsize=512)
def error_scale(df: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights to integrate over estimated / true standard deviation.

    The trapezoidal rule in the logarithm, in which the density falls off smoothly on both
    sides and the rule is as exact as arithmetic is.
    """
    x = np.linspace(-36.0 / df - 9.0 / math.sqrt(df), 6.5 / math.sqrt(df), 241)
    log_density = df * x - 0.5 * df * np.exp(2 * x)  # of log(sqrt(chi2 / df)), but for a constant
    log_density += 0.5 * df * math.log(0.5 * df) - float(gammaln(0.5 * df)) + math.log(2.0)
    weights = np.exp(log_density) * (x[1] - x[0])
    return np.exp(x), weights / weights.sum()


def _inside(t: float, comparisons: int, df: float) -> float:
    """Return the probability that every |t| is at most ``t`` if nothing differs."""
    scale, weights = error_scale(df)
    control = np.arange(0.0, 9.0, 0.2)  # in standard errors; the other half is the same
    density = np.exp(-0.5 * control**2)
    density[0] /= 2
    bound = math.sqrt(2.0) * t * scale[:, None]
    inside = (ndtr(bound - control) - ndtr(-bound - control)) ** comparisons
    return float(weights @ inside @ density / density.sum())
