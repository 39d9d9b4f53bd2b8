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

_ROUNDING = 1e-12  # of the largest value: a difference or spread below this is none


@dataclass(frozen=True, eq=False)
class Fit:
    """The model fitted to a table of R conditions by S seeds.

    Attributes:
        means: (R,) of the conditions, adjusted for seeds that are missing somewhere.
        seeds: (S,) what each seed adds; 0 without blocks.
        present: (R, S) which values there are, as 0.0 and 1.0.
        information: (S, S) what the table knows about the effects of seeds; None without blocks.
        inverse: (S, S) its pseudo-inverse; None without blocks.
        scale: the largest absolute value.
        variance: mean square of the residuals; NaN where no degree of freedom is left.
        df: degrees of freedom of ``variance``.
        correlation: between two runs of one seed under different conditions; NaN if unknown.
    """

    means: NDArray[np.float64]
    seeds: NDArray[np.float64]
    present: NDArray[np.float64]
    information: NDArray[np.float64] | None
    inverse: NDArray[np.float64] | None
    scale: float
    variance: float
    df: int
    correlation: float


@dataclass(frozen=True)
class Contrast:
    """A difference between means of conditions; what cannot be known is NaN.

    Attributes:
        difference: the estimate.
        error: its standard error.
        df: degrees of freedom of the error; a fraction in Welch's test.
        low: end of the 95 % t-interval.
        high: its other end.
        p: of the two-sided t-test, for this comparison alone.
    """

    difference: float
    error: float
    df: float
    low: float
    high: float
    p: float

    @property
    def t(self) -> float:
        """The difference in standard errors; infinite where nothing varies but it is not 0."""
        return ratio(self.difference, self.error)


def fit(values: ArrayLike, *, blocked: bool = True) -> Fit:
    """Fit means of conditions, and effects of seeds where they are shared.

    Args:
        values: (R, S), a row for each condition, a column for each seed; NaN where missing.
        blocked: whether a column is one seed. If not, the columns mean nothing.

    Raises:
        ValueError: if a condition has no value.

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
    seeds, rank, between = np.zeros(table.shape[1]), 0, 0.0
    information = inverse = None
    if blocked:
        # With the means eliminated, what is left of the normal equations of the seeds.
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
    if information is not None and rank and variance >= 0:
        shared = (between - rank * variance) / float(np.trace(information))
        total = shared + variance
        correlation = shared / total if total > (_ROUNDING * scale) ** 2 else math.nan
    return Fit(means, seeds, present, information, inverse, scale, variance, df, correlation)


def seed_means(values: ArrayLike) -> NDArray[np.float64]:
    """Return what each seed gives on average over conditions.

    Where a value is missing, the mean of its condition and the effect of its seed stand for it.
    If the values that there are do not connect all seeds, those that are complete are taken.

    Args:
        values: (R, S), a row for each condition, a column for each seed; NaN where missing, but
            at least one value in each row.

    Returns:
        (at most S,) means, none for a seed that has no value.
    """
    table = np.asarray(values, dtype=np.float64)
    table = table[:, ~np.isnan(table).all(0)]
    model = fit(table)
    if model.information is not None and pseudo_inverse(model.information)[1] < table.shape[1] - 1:
        complete: NDArray[np.float64] = table[:, ~np.isnan(table).any(0)].mean(0)
        return complete
    expected = model.means[:, None] + model.seeds
    filled: NDArray[np.float64] = np.where(np.isnan(table), expected, table).mean(0)
    return filled


def contrast(model: Fit, weights: ArrayLike) -> Contrast | None:
    """Estimate a weighted sum of the conditions' means.

    Args:
        model: the fit.
        weights: (R,), summing to 0.

    Returns:
        None where no seeds connect the conditions, not even by way of others.
    """
    w = np.asarray(weights, dtype=np.float64)
    counts = model.present.sum(1)
    factor = float((w**2 / counts).sum())
    if model.information is not None and model.inverse is not None:
        through = model.present.T @ (w / counts)  # how the seeds' effects enter
        solved = model.inverse @ through
        if np.abs(model.information @ solved - through).max() > 1e-8:
            return None
        factor += float(through @ solved)
    difference = float(w @ model.means)
    if abs(difference) <= _ROUNDING * model.scale:
        difference = 0.0
    return _tested(difference, math.sqrt(model.variance * factor), model.df)


def welch(first: ArrayLike, second: ArrayLike) -> Contrast:
    """Compare the means of two samples that share nothing: first - second.

    Args:
        first: values of one sample, at least one.
        second: of the other.

    Source: Welch (1947).
    """
    a, b = (np.asarray(sample, dtype=np.float64) for sample in (first, second))
    difference = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return _tested(difference, math.nan, 0)
    parts = float(a.var(ddof=1)) / len(a), float(b.var(ddof=1)) / len(b)
    scale = float(max(np.abs(a).max(), np.abs(b).max()))
    if sum(parts) <= (_ROUNDING * scale) ** 2:
        return _tested(difference, 0.0, len(a) + len(b) - 2)
    df = sum(parts) ** 2 / (parts[0] ** 2 / (len(a) - 1) + parts[1] ** 2 / (len(b) - 1))
    return _tested(difference, math.sqrt(sum(parts)), df)


def superiority(first: ArrayLike, second: ArrayLike) -> float:
    """Return P(first > second) over all pairs, ties counting half; NaN without a pair.

    Source: the U statistic of Mann and Whitney (1947) over the number of pairs.
    """
    a, b = (np.asarray(sample, dtype=np.float64) for sample in (first, second))
    a, b = a[~np.isnan(a), None], b[~np.isnan(b)]
    if not a.size * b.size:
        return math.nan
    return float(((a > b).sum() + 0.5 * (a == b).sum()) / (a.size * b.size))


def ratio(value: float, error: float) -> float:
    """Return value / error; 0 / 0 is 0, other values over 0 are infinite."""
    if error == 0:
        return math.copysign(math.inf, value) if value else 0.0
    return value / error


def _tested(difference: float, error: float, df: float) -> Contrast:
    """Put a t-test and a t-interval around a difference; NaN without degrees of freedom."""
    if df <= 0 or math.isnan(error):
        return Contrast(difference, math.nan, 0, math.nan, math.nan, math.nan)
    half = t_quantile(df) * error
    p = 2 * float(stdtr(df, -abs(ratio(difference, error))))
    return Contrast(difference, error, df, difference - half, difference + half, p)


def pseudo_inverse(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the pseudo-inverse of a symmetric matrix, and its rank."""
    values, vectors = np.linalg.eigh(matrix)
    kept = values > 1e-9 * max(1.0, float(values[-1]))
    return (vectors[:, kept] / values[kept]) @ vectors[:, kept].T, int(kept.sum())
