"""Errors in cross-validation, where runs are not independent: their training sets overlap.

Source: the corrected resampled t-test of Nadeau and Bengio ("Inference for the Generalization
Error", 2003). Scores of S runs, each on n_val images that its n_train do not include, correlate by
about n_val / (n_train + n_val), so that the variance of their mean is that of one run times
1 / S + n_val / n_train, and not 1 / S. Bouckaert and Frank (2004) apply it to K folds, where
n_val / n_train is 1 / (K - 1), dealt out any number of times.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from scipy.special import fdtrc

from bench.analysis.stats import anova
from bench.analysis.stats.blocks import Contrast, tested
from bench.analysis.stats.sample import Sample


def widening(seeds: int, overlap: float) -> float:
    """Return by what the error of a mean over runs is too small if they count as independent.

    ``overlap`` is n_val / n_train; 0 where runs are independent.
    """
    return math.sqrt(1 + seeds * overlap)


def of_contrast(contrast: Contrast, seeds: int, overlap: float) -> Contrast:
    """Return a difference of means over runs with the larger error."""
    if not overlap or not contrast.df:
        return contrast
    error = contrast.error * widening(seeds, overlap)
    return tested(contrast.difference, error, contrast.df)


def of_mean(sample: Sample, overlap: float) -> Sample:
    """Return a sample whose mean has the wider interval; the spread of its values is what it is."""
    if not overlap or sample.n < 2:
        return sample
    half = (sample.high - sample.mean) * widening(sample.n, overlap)
    return replace(sample, low=sample.mean - half, high=sample.mean + half)


def of_anova(rows: Iterable[anova.Row], seeds: int, overlap: float) -> tuple[anova.Row, ...]:
    """Return an analysis of variance with the F tests of differences between arms corrected."""
    rows = tuple(rows)
    if not overlap or not rows:
        return rows
    residual = rows[-1].df

    def corrected(row: anova.Row) -> anova.Row:
        if row.kind in (anova.SEED, anova.RESIDUAL):
            return row
        f = row.f / widening(seeds, overlap) ** 2
        return replace(row, f=f, p=0.0 if math.isinf(f) else float(fdtrc(row.df, residual, f)))

    return tuple(map(corrected, rows))
