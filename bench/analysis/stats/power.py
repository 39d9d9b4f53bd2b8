"""Which difference a design can see, and how many seeds would see a given one."""

from __future__ import annotations

import functools
from collections.abc import Callable

from scipy.optimize import brentq
from scipy.special import ndtr

from bench.analysis.stats.constants import ALPHA, POWER
from bench.analysis.stats.families import dunnett_critical, error_scale
from bench.analysis.stats.sample import t_quantile

MOST_SEEDS = 100  # beyond these nobody is told to go


def critical_value(method: str, comparisons: int, df: float) -> float:
    """Return how many standard errors a difference needs to be decided.

    Args:
        method: ``dunnett``, or ``holm``, of which it is the first step, α / comparisons.
        comparisons: size of the family.
        df: of the error.
    """
    if method == "dunnett":
        return dunnett_critical(comparisons, df)
    return t_quantile(df, ALPHA / comparisons)


def power(effect: float, critical: float, df: float) -> float:
    """Return the probability that |t| exceeds ``critical``.

    Args:
        effect: the true difference in true standard errors.
        critical: what |t| has to exceed.
        df: of the standard error's estimate.

    Source: the definition of the noncentral t distribution, integrated over the estimate of
    the error (``scipy.stats.nct`` gives the same).
    """
    scale, weights = error_scale(df)
    return float(weights @ (ndtr(effect - critical * scale) + ndtr(-effect - critical * scale)))


@functools.lru_cache(maxsize=4096)
def detectable(critical: float, df: float, wanted: float = POWER) -> float:
    """Return the true difference, in standard errors, that is seen with a power of ``wanted``."""

    def lack(effect: float) -> float:
        return power(effect, critical, df) - wanted

    return float(brentq(lack, 0.0, 6.0 * critical + 6.0, xtol=1e-9))


def seeds_needed(
    target: float, detectable_with: Callable[[int], float], *, more_than: int = 1
) -> int | None:
    """Return the smallest number of seeds with which a difference is seen; None above 100.

    Args:
        target: the difference that is to be seen.
        detectable_with: number of seeds, at least 2 → smallest difference seen, falling.
        more_than: the number of seeds there are, at least 1, which did not decide.
    """
    low, high = more_than, MOST_SEEDS
    if low >= high or not target > 0 or detectable_with(high) > target:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if detectable_with(middle) <= target:
            high = middle
        else:
            low = middle
    return high
