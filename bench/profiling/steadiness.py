"""Whether times have come to rest, and how well their median is known: numbers in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

STEADY = 0.005  # times that differ by no more than this share have come to rest, trend or not
FEWEST = 6  # times of which a trend can be told from chance
_LIMIT = 1.96  # of the standard normal: a trend this large comes by chance in 5 % of cases


def has_trend(times: Sequence[float]) -> bool:
    """Tell whether times rise or fall more than chance explains (Mann and Kendall's test).

    The test compares every pair and asks only which is longer, so that one slow call decides
    nothing. Of fewer than 6 times it cannot tell, and they count as a trend unless they agree.
    """
    count = len(times)
    if max(times) <= (1 + STEADY) * min(times):
        return False
    if count < FEWEST:
        return True
    values = np.asarray(times)
    signs = np.sign(values[None, :] - values[:, None])[np.triu_indices(count, 1)]
    score = abs(float(signs.sum()))
    ties = np.unique(values, return_counts=True)[1]
    variance = (_variance(count) - sum(_variance(int(tied)) for tied in ties)) / 18
    return score - 1 >= _LIMIT * math.sqrt(variance)


def _variance(count: int) -> float:
    return count * (count - 1) * (2 * count + 5)


def drift(times: Sequence[float]) -> float:
    """Return by which share of their median times changed from the first to the last.

    By Theil and Sen's slope, the median of the slopes between all pairs; negative if they fell.
    """
    return _slope(times) * (len(times) - 1) / float(np.median(times))


def drift_error(times: Sequence[float]) -> float:
    """Return the standard error of `drift`, from how far times lie from a straight line."""
    count = len(times)
    if count < 3:
        return math.inf
    values, places = np.asarray(times), np.arange(count)
    left = values - _slope(times) * places
    spread = math.sqrt(float(((left - left.mean()) ** 2).sum()) / (count - 2))
    slope_error = spread / math.sqrt(count * (count**2 - 1) / 12)
    return slope_error * (count - 1) / float(np.median(values))


def _slope(times: Sequence[float]) -> float:
    values = np.asarray(times)
    first, second = np.triu_indices(len(values), 1)
    if not len(first):
        return 0.0
    return float(np.median((values[second] - values[first]) / (second - first)))


def standard_error(times: Sequence[float]) -> float:
    """Return the standard error of the median of times, as a share of it.

    From their quartiles, as for the notches of a box plot (McGill, Tukey and Larsen 1978), so that
    a few slow calls do not widen it: 1.253 σ / √n, where σ is the interquartile range / 1.349.
    """
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
    sigma = (high - low) / 1.349
    return float(1.2533 * sigma / math.sqrt(len(times)) / median)
