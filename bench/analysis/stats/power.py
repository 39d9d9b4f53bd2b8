"""Which difference a design can detect."""

from __future__ import annotations

import functools

from scipy.optimize import brentq
from scipy.special import ndtr

from bench.analysis.stats.families import dunnett_critical, error_scale
from bench.analysis.stats.sample import ALPHA, t_quantile

POWER = 0.80  # with which a "detectable" difference is detected


def critical_value(method: str, comparisons: int, df: float) -> float:
    """Return how many standard errors a difference has to exceed to be significant at once.

    It is the first step of the verdict, whatever the other comparisons show, and half the width
    of a simultaneous interval in standard errors. To plan n seeds for a design, take

    - ``method`` from ``comparisons.method`` of that design and n,
    - ``comparisons``: how many are tested,
    - ``df``: of the error of a comparison. With its own error (C settings of the other factors,
      and C = 1 from 8 seeds on where arms are compared with one) (2 C - 1) (n - 1); where all k
      arms share one error, (k - 1) (n - 1).

    Source: Dunnett (1955) for ``dunnett``; α / comparisons, of Bonferroni, for ``holm``.
    """
    if method == "dunnett":
        return dunnett_critical(comparisons, df)
    return t_quantile(df, ALPHA / comparisons)


def power(effect: float, critical: float, df: float) -> float:
    """Return the probability that |t| exceeds ``critical``.

    ``effect`` is the true difference in true standard errors.

    Source: the definition of the noncentral t distribution, integrated over the estimate of
    the error (``scipy.stats.nct`` gives the same).
    """
    scale, weights = error_scale(df)
    return float(weights @ (ndtr(effect - critical * scale) + ndtr(-effect - critical * scale)))


@functools.lru_cache(maxsize=4096)
def detectable(critical: float, df: float) -> float:
    """Return the true difference, in standard errors, that is detected with 80 % power."""
    end = 6.0 * critical + 6.0
    return float(brentq(lambda effect: power(effect, critical, df) - POWER, 0.0, end, xtol=1e-9))
