"""Differences that hold for other runs and for other images: runs and images crossed.

Every run was scored on the same images. A difference between two settings then varies for two
reasons, the run and which images there are, and a claim about such images needs both. Source:
the analysis of readers who all read the same cases, by jackknife pseudo-values (Dorfman, Berbaum
and Metz 1992; Obuchowski and Rockette 1995; Hillis 2007).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.analysis.stats.blocks import Contrast, tested
from bench.analysis.stats.images import Score
from bench.analysis.stats.sample import ALPHA, t_quantile

Array = NDArray[np.float64]

_ROUNDING = 1e-12  # of the largest value: an image's part below this is none


def pseudo_values(counted: Array, score: Score) -> Array:
    """Return (..., N) what each image adds to a data set's score, of (..., 3, N, C) ``totals``.

    With T the score of all N images and T(i) that of all but image i, this is N T - (N - 1) T(i).
    For a score that is a mean over images it is the score of image i.
    """
    images = counted.shape[-2]
    whole = counted.sum(-2, keepdims=True)
    everything, others = _scored(whole, score), _scored(whole - counted, score)
    values: Array = images * everything - (images - 1) * others
    return values


def rarest(counted: Array) -> tuple[int, int]:
    """Return the class that is in the fewest images, of those that count, and in how many.

    ``counted`` holds (..., 3, N, C) ``totals``. A class counts if it is true or predicted in any
    image; it is in an image where it is true.
    """
    _, truth, predicted = np.moveaxis(counted.reshape(-1, *counted.shape[-3:]), 1, 0)
    images = (truth > 0).any(0).sum(0)
    counts = (truth + predicted > 0).any((0, 1))
    found = int(np.where(counts, images, counted.shape[-2] + 1).argmin())
    return found, int(images[found])


def crossed(differences: Array, these: Contrast, alpha: float = ALPHA) -> Contrast:
    """Test a difference for runs and images of which those in hand are random samples.

    ``differences`` are (S, N), of S seeds and N images, pseudo-values under one setting minus
    those under the other; ``these`` is the difference of the scores on these images, whose error
    is that between runs.

    Images add (MS_image - MS_error) / (S N) to its variance, and nothing where that is negative.
    In a comparison of two settings MS_seed / (S N) is the variance between runs, so that the sum is
    the variance of Obuchowski and Rockette. Degrees of freedom by Satterthwaite (1946): Hillis
    leaves images out of them, as radiologists have hundreds; with 16 that would give too many. As
    they may be more than those of the runs, neither the interval (of 1 - ``alpha``) is narrower nor
    p smaller than for these images.
    """
    seeds, images = differences.shape
    rows, columns = differences.mean(1), differences.mean(0)
    mean = float(differences.mean())
    by_image = seeds * float(((columns - mean) ** 2).sum()) / (images - 1)
    rest = differences - rows[:, None] - columns + mean
    error = float((rest**2).sum()) / ((seeds - 1) * (images - 1))
    if by_image - error <= _ROUNDING * float(np.abs(differences).max()) ** 2:
        return these
    variance = these.error**2 + (by_image - error) / (seeds * images)
    uncertain = by_image**2 / (images - 1) + error**2 / ((seeds - 1) * (images - 1))
    uncertain = these.error**4 / these.df + uncertain / (seeds * images) ** 2
    found = tested(these.difference, math.sqrt(variance), variance**2 / uncertain)
    if t_quantile(found.df, alpha) * found.error < t_quantile(these.df, alpha) * these.error:
        return these
    return replace(found, p=max(found.p, these.p))


def _scored(counted: Array, score: Score) -> Array:
    right, truth, predicted = np.moveaxis(counted, -3, 0)
    return score(right, truth, predicted)
