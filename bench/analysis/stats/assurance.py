"""How many seeds decide about a difference that matters, given what is known of the spread.

The spread between runs is known from a few runs only. A number of seeds that has 80 % power if
it is just what was estimated has far less if it is larger. The probability of a decision is
therefore averaged over how large it may be: assurance, in place of power.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, ndtr

from bench.analysis.stats.families import error_scale

ASSURANCE = 0.80  # with which a number of seeds decides
RANGE = 0.90  # of the range of numbers over what is known of the spread
MOST_SEEDS = 1000  # larger numbers are not given

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """What a comparison is decided by, with some number of seeds."""

    error: float  # standard error of the difference, in standard deviations between runs
    df: float  # degrees of freedom of its estimate
    critical: float  # standard errors beyond which a difference is better or worse
    critical_equivalent: float  # standard errors by which it has to be within ±δ


@dataclass(frozen=True)
class Needed:
    """A number of seeds, and its range over what is known of the spread; None above most."""

    seeds: int | None
    low: int | None
    high: int | None


def decides(margin: ArrayLike, design: Design) -> Array:
    """Return two probabilities of a decision, (2, ...) for margins (...) in true errors.

    The first is that a true difference of the size of the margin is called better or worse (and
    not equivalent); the second that no difference is called equivalent.

    Source: as ``power.power``; two one-sided tests, Schuirmann (1987), whose power at 0 is
    integrated over the estimate of the error (Phillips 1990).
    """
    distance = np.asarray(margin, dtype=np.float64)[..., None]
    scale, weights = _likely(design.df)
    inside = distance - design.critical_equivalent * scale  # estimates within it are equivalent
    called = ndtr(distance - np.maximum(design.critical * scale, inside))
    equivalent = np.maximum(0.0, 2 * ndtr(inside) - 1)
    return np.array([called @ weights, equivalent @ weights])


def assurance(margin: float, design: Design, sd: float, df: float) -> float:
    """Return the smaller probability of a decision, averaged over what is known of the spread.

    ``sd`` is its estimate with ``df`` degrees of freedom. With the reference prior the variance is
    df sd² / χ² with these degrees of freedom, a scaled inverse χ² distribution.

    Source: O'Hagan, Stevens and Campbell (2005), Assurance in clinical trial design.
    """
    scale, weights = _likely(df)
    return float((decides(margin * scale / (design.error * sd), design) @ weights).min())


def seeds_that_decide(
    margin: float, designed: Callable[[int], Design], sd: float, df: float, *, switch: int = 2
) -> Needed:
    """Return the least number of seeds with 80 % assurance for a margin, up to MOST_SEEDS.

    The range is of the numbers that have 80 % power if the spread is at the lower or upper end
    of the interval that holds it with 90 %. ``designed`` is number of seeds → design. More seeds
    decide more, but from ``switch`` on designs may be others, and decide less than just before.
    """
    if not sd > 0:
        return Needed(2, 2, 2)

    def at(exact: float) -> int | None:
        def decided(seeds: int) -> bool:
            design = designed(seeds)
            return float(decides(margin / (design.error * exact), design).min()) >= ASSURANCE

        return _least(decided, switch)

    needed = _least(lambda seeds: assurance(margin, designed(seeds), sd, df) >= ASSURANCE, switch)
    low, high = spread_range(df)
    return Needed(needed, at(low * sd), at(high * sd))


def spread_range(df: float) -> tuple[float, float]:
    """Return between which multiples of its estimate a standard deviation lies with 90 %.

    Source: the χ² distribution of the estimated variance, with equal tails.
    """
    tail = (1 - RANGE) / 2
    low, high = chdtri(df, [tail, 1 - tail])
    return math.sqrt(df / float(low)), math.sqrt(df / float(high))


@functools.lru_cache(maxsize=512)
def _likely(df: float) -> tuple[Array, Array]:
    """Return nodes and weights of estimated / true standard deviation, without negligible ones."""
    scale, weights = error_scale(df)
    likely = weights > 1e-9
    return scale[likely], weights[likely]


def _least(enough: Callable[[int], bool], switch: int) -> int | None:
    """Return the least number of seeds, from 2 on, that is enough; None if there is none."""
    for possible in (range(2, switch), range(max(2, switch), MOST_SEEDS + 1)):
        place = bisect.bisect_left(possible, True, key=enough)
        if place < len(possible):
            return possible[place]
    return None
