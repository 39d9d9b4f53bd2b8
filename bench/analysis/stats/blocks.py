"""Differences between means of conditions that share their seeds.

The model of every comparison: value = mean of its condition + what its seed does to all
conditions alike + error. With two conditions the difference is the paired t-test; with the
combinations of other factors as conditions it is a main effect of a blocked factorial design.
Values may be missing: the model is fitted by least squares to those that are there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from bench.analysis.stats.sample import t_quantile

Array = NDArray[np.float64]

_ROUNDING = 1e-12  # of the largest value: a difference or spread below this is none


@dataclass(frozen=True, eq=False)
class Fit:
    """The model fitted to a table of R conditions by S seeds."""

    means: Array  # (R,) of the conditions, adjusted for seeds that are missing somewhere
    seeds: Array  # (S,) what each seed adds
    present: Array  # (R, S) which values there are, as 0.0 and 1.0
    information: Array  # (S, S) normal equations of the effects of seeds
    inverse: Array  # (S, S) its pseudo-inverse
    rank: int  # of ``information``; S - 1 where the values connect all seeds
    scale: float  # the largest absolute value
    variance: float  # mean square of the residuals; NaN where no degree of freedom is left
    df: int  # degrees of freedom of ``variance``
    correlation: float  # between two runs of one seed under different conditions; NaN if unknown


@dataclass(frozen=True)
class Contrast:
    """A difference between means of conditions, with its standard error; NaN where unknown.

    ``low`` and ``high`` are the ends of the 95 % t-interval, and ``p`` is of the two-sided
    t-test, both for this comparison alone.
    """

    difference: float = math.nan
    error: float = math.nan
    df: float = 0  # of crossed runs and images, no whole number
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan

    @property
    def t(self) -> float:
        """The difference in standard errors; infinite where nothing varies but it is not 0."""
        return ratio(self.difference, self.error)


def fit(values: ArrayLike) -> Fit:
    """Fit means of conditions and effects of seeds to (R, S) values, NaN where missing.

    ValueError if a condition has no value.

    Source: the intra-block analysis of incomplete blocks (Montgomery, Design and Analysis of
    Experiments, chapter 4), which is the randomised block design where nothing is missing. The
    correlation is the intraclass correlation ICC(3,1) of Shrout and Fleiss (1979).
    """
    table = np.asarray(values, dtype=np.float64)
    present = (~np.isnan(table)).astype(np.float64)
    counts = present.sum(1)
    if not counts.all():
        raise ValueError("a condition without any value has no mean")
    filled = np.where(present > 0, table, 0.0)
    means = filled.sum(1) / counts
    # The normal equations of the seeds' effects, from which the means are eliminated.
    information = np.diag(present.sum(0)) - present.T @ (present / counts[:, None])
    inverse, rank = pseudo_inverse(information)
    sums = ((filled - means[:, None]) * present).sum(0)
    seeds = inverse @ sums
    between = float(seeds @ sums)  # sum of squares of the seeds
    means = means - present @ seeds / counts
    residuals = (filled - means[:, None] - seeds) * present
    df = int(counts.sum()) - len(table) - rank
    scale = float(np.abs(filled).max(initial=0.0))
    variance = float((residuals**2).sum()) / df if df > 0 else math.nan
    if variance <= (_ROUNDING * scale) ** 2:
        variance = 0.0
    correlation = math.nan
    if rank and variance >= 0:
        shared = (between - rank * variance) / float(np.trace(information))
        total = shared + variance
        correlation = shared / total if total > (_ROUNDING * scale) ** 2 else math.nan
    return Fit(means, seeds, present, information, inverse, rank, scale, variance, df, correlation)


def seed_means(values: ArrayLike) -> Array:
    """Return (at most S,) means over conditions of those seeds that have a value.

    Values are (R, S), NaN where missing, but at least one in each row. For a missing one stand the
    mean of its condition and the effect of its seed. If the values do not connect all seeds, those
    that are complete are taken.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, ~np.isnan(table).all(0)]
    model = fit(table)
    if model.rank < table.shape[1] - 1:
        filled = table[:, ~np.isnan(table).any(0)]
    else:
        filled = np.where(np.isnan(table), model.means[:, None] + model.seeds, table)
    return np.asarray(filled.mean(0))


def contrast(model: Fit, weights: ArrayLike) -> Contrast | None:
    """Estimate a sum of the conditions' means with (R,) weights that sum to 0.

    Returns:
        None where no seeds connect the conditions, not even by way of others.
    """
    w = np.asarray(weights, dtype=np.float64)
    counts = model.present.sum(1)
    through = model.present.T @ (w / counts)  # how the seeds' effects enter
    solved = model.inverse @ through
    if np.abs(model.information @ solved - through).max() > 1e-8:
        return None
    difference = float(w @ model.means)
    if abs(difference) <= _ROUNDING * model.scale:
        difference = 0.0
    if model.df <= 0:
        return Contrast(difference)
    factor = float((w**2 / counts).sum()) + float(through @ solved)
    return tested(difference, math.sqrt(model.variance * factor), model.df)


def tested(difference: float, error: float, df: float) -> Contrast:
    """Return a difference with its t-interval and t-test, ``df`` being above 0."""
    half = t_quantile(df) * error
    p = 2 * float(stdtr(df, -abs(ratio(difference, error))))
    return Contrast(difference, error, df, difference - half, difference + half, p)


def ratio(value: float, error: float) -> float:
    """Return value / error; 0 / 0 is 0, other values over 0 are infinite."""
    if error == 0:
        return math.copysign(math.inf, value) if value else 0.0
    return value / error


def pseudo_inverse(matrix: Array) -> tuple[Array, int]:
    """Return the pseudo-inverse of a symmetric matrix, and its rank."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-9 * max(1.0, float(values[-1]))
    return (vectors[:, kept] / values[kept]) @ vectors[:, kept].T, int(kept.sum())
