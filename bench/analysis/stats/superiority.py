"""The probability that a random run of one arm scores above one of another, with an interval."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from bench.analysis.stats.sample import t_quantile

_HALVINGS = 50  # of [0, 1]: the ends of an interval are exact to 1e-15

Sizes = Sequence[tuple[int, int]]  # runs of both arms, of each pair of arms that is averaged


def superiority(first: ArrayLike, second: ArrayLike) -> float:
    """Return P(first > second) over all pairs, ties counting half; NaN without a pair.

    Source: the U statistic of Mann and Whitney (1947) over the number of pairs.
    """
    a, b = (np.asarray(sample, dtype=np.float64) for sample in (first, second))
    a, b = a[~np.isnan(a), None], b[~np.isnan(b)]
    if not a.size * b.size:
        return math.nan
    return float(((a > b).sum() + 0.5 * (a == b).sum()) / (a.size * b.size))


def interval(probability: float, sizes: Sizes) -> tuple[float, float]:
    """Return the 95 % interval of the mean of estimates by `superiority`; NaN without runs.

    The ends are where the estimate is as many standard errors away as Student's t allows, with the
    variance that holds at the end itself. Runs count as independent: if those of one seed are
    alike, the interval is wider than it needs to be.

    Source: method 5 of Newcombe (2006, Statistics in Medicine 25:559–573), with the quantile of t
    with m + n - 2 degrees of freedom in place of the normal one. With that one, three runs of each
    arm that do not overlap would exclude 0.5, which happens by chance in 10 % of experiments.
    """
    df = sum(m + n - 2 for m, n in sizes)
    if math.isnan(probability) or df < 1:
        return math.nan, math.nan
    critical = t_quantile(df)

    def outside(value: float) -> bool:
        return abs(value - probability) > critical * math.sqrt(variance(value, sizes))

    return _last(probability, 0.0, outside), _last(probability, 1.0, outside)


def variance(probability: float, sizes: Sizes) -> float:
    """Return the variance of the mean of estimates by `superiority` of independent runs.

    Source: Hanley and McNeil (1982) for exponential scores, with Newcombe's (m + n) / 2 - 1 in
    place of both m - 1 and n - 1.
    """
    p, total = probability, 0.0
    shared = (1 - p) / (2 - p) + p / (1 + p)  # by pairs that have a run in common
    for m, n in sizes:
        total += p * (1 - p) * (1 + ((m + n) / 2 - 1) * shared) / (m * n)
    return total / len(sizes) ** 2


def _last(inside: float, end: float, outside: Callable[[float], bool]) -> float:
    """Return the value farthest from ``inside``, towards ``end``, that is not outside."""
    beyond = end
    for _ in range(_HALVINGS):
        middle = (inside + beyond) / 2
        inside, beyond = (inside, middle) if outside(middle) else (middle, beyond)
    return inside
