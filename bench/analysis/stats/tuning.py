"""What tuning is worth: the best score to be expected of fewer settings than were tried."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def mean_scores(scores: ArrayLike, *, worst: float) -> Array:
    """Return (V,) means over seeds of (V, S) scores, NaN where a run diverged: ``worst``."""
    values = np.asarray(scores, dtype=np.float64)
    means: Array = np.where(np.isnan(values), worst, values).mean(1)
    return means


def best(scores: ArrayLike, *, worst: float, higher_is_better: bool = True) -> int:
    """Return which of V settings has the best mean of (V, S) scores; of equal ones the first."""
    means = mean_scores(scores, worst=worst)
    return int(np.argmax(means) if higher_is_better else np.argmin(means))


def expected_best(scores: ArrayLike, *, worst: float, higher_is_better: bool = True) -> Array:
    """Return the best score to be expected of 1, 2, … of the settings tried, as (N,).

    ``scores`` holds one of each of N settings; NaN, where a run diverged, counts as ``worst``.
    Settings are drawn without replacement, all alike. The i-th smallest of N is the largest of n
    in C(i - 1, n - 1) of the C(N, n) choices.

    Source: the unbiased estimator of Tang et al. (2020, "Showing your work doesn't always work"),
    in place of that of Dodge et al. (2019), which draws with replacement and is too low.
    """
    values = np.asarray(scores, dtype=np.float64)
    values = np.sort(np.where(np.isnan(values), worst, values))
    if not higher_is_better:
        values = values[::-1]
    count = len(values)
    choices = [
        [math.comb(i, n - 1) / math.comb(count, n) for i in range(count)]
        for n in range(1, count + 1)
    ]
    return np.array(choices, dtype=np.float64).reshape(count, count) @ values
