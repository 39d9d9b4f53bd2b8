"""p values corrected for the number of comparisons: Holm for any, Dunnett for many to one.

Both go down in steps: once the largest difference is significant, the others are a smaller family.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, ndtr

from bench.analysis.stats.sample import ALPHA, t_quantile

Array = NDArray[np.float64]


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

    All have the same number of runs, and share one error with ``df`` degrees of freedom.

    Source: Dunnett (1955). Given the control's mean and the error, the comparisons are
    independent; both are integrated over here, so that nothing is random.
    """
    if math.isinf(t):
        return 0.0
    return min(1.0, max(0.0, 1.0 - _inside(abs(t), comparisons, df)))


def step_down_dunnett(t: Sequence[float], df: float) -> list[float]:
    """Return the adjusted p of all comparisons with one control, the largest |t| first.

    The j-th largest of k is corrected for the k - j + 1 that are left. To reject it, every
    family that holds it has to be rejected (closed testing); as all families of one size have
    the same critical value, the ones that are left decide for all.

    Source: Naik (1975) and Marcus, Peritz and Gabriel (1976), as in Dunnett and Tamhane (1991).
    """
    adjusted, largest = [math.nan] * len(t), 0.0
    for step, i in enumerate(sorted(range(len(t)), key=lambda i: -abs(t[i]))):
        largest = max(largest, dunnett(t[i], len(t) - step, df))
        adjusted[i] = largest
    return adjusted


@functools.lru_cache(maxsize=4096)
def dunnett_critical(comparisons: int, df: float, alpha: float = ALPHA) -> float:
    """Return what the largest of several |t| exceeds with probability ``alpha``."""
    low, high = t_quantile(df, alpha), t_quantile(df, alpha / comparisons)
    if comparisons == 1:
        return low
    # It lies between Student's and Bonferroni's value, which are computed with rounding.
    bounds = 0.99 * low, 1.01 * high
    return float(brentq(lambda t: 1.0 - alpha - _inside(t, comparisons, df), *bounds, xtol=1e-10))


@functools.lru_cache(maxsize=512)
def error_scale(df: float) -> tuple[Array, Array]:
    """Return nodes and weights to integrate over s = estimated / true standard deviation.

    As df s² is χ² with df degrees of freedom, x = log s has a density that is largest at 0, and
    exp(df g(x)) times that elsewhere, g(x) = x - (e^2x - 1) / 2. The trapezoidal rule is used:

    - Ends. g(x) ≤ -x² for x > 0, and g(-u) ≤ -u² / (1 + u) for u > 0. With the ends below, the
      density has fallen to e^-42 on the right, and to e^-44 (df = 1; less for more) on the left.
    - Steps of h. Where f is analytic for |Im x| < a, and ∫|f(x + iy)| dx ≤ M for each |y| < a,
      the error is at most 2 M / (exp(2πa / h) - 1) (Trefethen and Weideman 2014, theorem 5.1).
      For the density M = cos(2a)^(-df/2), so at most 2e-9 for df = 1 (h = 0.21, a = 0.76), and
      1e-15 for more. What is integrated with it here is as smooth: tests find p and power
      within 1e-9 of adaptive quadrature for df = 1, and within 1e-12 for more.
    """
    x = np.linspace(-36.0 / df - 9.0 / math.sqrt(df), 6.5 / math.sqrt(df), 241)
    log_density = df * x - 0.5 * df * np.exp(2 * x)
    log_density += 0.5 * df * math.log(0.5 * df) - float(gammaln(0.5 * df)) + math.log(2.0)
    weights = np.exp(log_density) * (x[1] - x[0])
    return np.exp(x), weights / weights.sum()


def _inside(t: float, comparisons: int, df: float) -> float:
    """Return the probability that every |t| is at most ``t`` if nothing differs.

    The control's mean u, in standard errors, is integrated over by the trapezoidal rule too, on
    one side of 0 as the other is the same. Beyond 8.9 lies 1e-18 of the normal distribution. For
    complex u the probability within the bounds grows by exp(Im(u)² / 2) at most, so M, as above,
    is exp((k + 1) a² / 2) for k comparisons, and with the best a the error is at most
    2 exp(-2π² / (k + 1) / h²): 1e-19 for k = 10, 3e-7 for k = 30, where tests find 1e-13.
    """
    scale, weights = error_scale(df)
    control = np.arange(0.0, 9.0, 0.2)
    density = np.exp(-0.5 * control**2)
    density[0] /= 2
    bound = math.sqrt(2.0) * t * scale[:, None]
    inside = (ndtr(bound - control) - ndtr(-bound - control)) ** comparisons
    return float(weights @ inside @ density / density.sum())
