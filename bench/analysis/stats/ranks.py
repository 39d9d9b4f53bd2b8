"""How often each of several arms has each rank, of means that are known from few runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def draws_of_means(
    samples: Sequence[ArrayLike], generator: np.random.Generator, *, count: int = 10_000
) -> Array:
    """Return (count, K) draws of K means, each of a sample of two values or more.

    A draw is mean + t · sd / √n of the arm's own runs, with t from Student's distribution with
    n - 1 degrees of freedom, independent between arms. A sample without variance gives its value.

    To draw runs with replacement, as challenges do with their many test images, would not do: with
    three seeds, an arm that is ahead in all of them by chance would be so in every draw.

    Source: the posterior distribution of a normal mean without prior knowledge; of two arms it is
    the Behrens–Fisher distribution (Fisher 1935; Box and Tiao 1973, section 2.5).
    """
    drawn = np.empty((count, len(samples)))
    for column, sample in enumerate(samples):
        values = np.asarray(sample, dtype=np.float64)
        if np.ptp(values) == 0:
            drawn[:, column] = values[0]
            continue
        error = values.std(ddof=1) / np.sqrt(len(values))
        t = generator.standard_t(len(values) - 1, count)
        drawn[:, column] = values.mean() + error * t
    return drawn


def rank_shares(
    drawn: Array, generator: np.random.Generator, *, higher_is_better: bool = True
) -> Array:
    """Return (K, K): in which share of (D, K) draws an arm (row) has rank 1, 2, … (column).

    Equal values share their ranks at random. All rows and columns sum to 1.

    Source: the rank frequencies of Wiesenfarth et al. (2021, Scientific Reports 11:2369).
    """
    noise = generator.random(drawn.shape)
    order = np.lexsort((noise, -drawn if higher_is_better else drawn), axis=1)
    arms = drawn.shape[1]
    return np.array(
        [np.bincount(order[:, rank], minlength=arms) / len(drawn) for rank in range(arms)]
    ).T


def middle(shares: ArrayLike, outside: float) -> tuple[int, int]:
    """Return the ranks between which an arm lies in all but ``outside`` of draws.

    At most half of these draws are on either side. ``shares`` are a row of `rank_shares`.
    """
    row = np.asarray(shares, dtype=np.float64)
    below, above = np.cumsum(row), np.cumsum(row[::-1])
    rounding = 1e-9
    low = int((below <= outside / 2 + rounding).sum()) + 1
    high = len(row) - int((above <= outside / 2 + rounding).sum())
    return low, high
