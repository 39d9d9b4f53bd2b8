"""Shares of runs to which something happened: exact bounds, and an exact test of two groups."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from bench.analysis.stats.sample import ALPHA

# of one setting: (happened, runs) of the one group, and of the other
Stratum = tuple[tuple[int, int], tuple[int, int]]

_ROUNDING = 1e-9  # relative: outcomes whose probabilities differ by less are equally probable


def clopper_pearson(happened: int, runs: int, alpha: float = ALPHA) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a probability, of how often something happened.

    Source: Clopper and Pearson (1934). It covers at least 95 %, however few the runs are.
    """
    low = float(betaincinv(happened, runs - happened + 1, alpha / 2)) if happened else 0.0
    missed = runs - happened
    high = float(betaincinv(happened + 1, missed, 1 - alpha / 2)) if missed else 1.0
    return low, high


def exact_test(strata: Iterable[Stratum]) -> float:
    """Return p of the two-sided test that something is as probable in one group as in the other.

    Groups are compared within each stratum, as its probability may differ between strata. What is
    added up is the probability of all totals of the first group that are no more probable than
    the one that was seen, if in each stratum every distribution over the groups is equally so.

    Source: Fisher (1935), for one stratum; for several the exact form of Cochran, Mantel and
    Haenszel's test (Birch 1964): the total is a sum of independent hypergeometric variables.
    """
    probability = np.ones(1)
    place = 0  # of what was seen among the possible totals
    for (first, runs), (second, others) in strata:
        total = first + second
        possible = range(max(0, total - others), min(total, runs) + 1)
        own = _hypergeometric(possible, total, runs, others)
        probability = np.convolve(probability, own)
        place += first - possible[0]
    as_rare = probability <= probability[place] * (1 + _ROUNDING)
    return min(1.0, float(probability[as_rare].sum()))


def _hypergeometric(possible: range, total: int, runs: int, others: int) -> NDArray[np.float64]:
    """Return how probable it is that so many of a total fall into a group of ``runs``."""
    ways = [comb(runs, k) * comb(others, total - k) for k in possible]
    return np.array([way / comb(runs + others, total) for way in ways])
