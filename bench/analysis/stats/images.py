"""Intervals of the same networks' scores on other images, by a bootstrap over images.

They tell nothing about other training runs and must not decide between settings: with images as
replicates, a quarter of such decisions and more would be false positives.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.analysis.stats.sample import ALPHA

Array = NDArray[np.float64]
# (right, truth, predicted), each (..., C) pixels of each class → score (...)
Score = Callable[[Array, Array, Array], Array]


def draws(images: int, generator: np.random.Generator, *, count: int = 1000) -> Array:
    """Return (count, images): how often each image is in each data set drawn with replacement."""
    return generator.multinomial(images, np.full(images, 1 / images), size=count).astype(np.float64)


def totals(matrices: NDArray[np.int64]) -> Array:
    """Return (..., 3, N, C) pixels that are right, true and predicted, of (..., N, C, C).

    Rows of the matrices are the truth.
    """
    right = np.diagonal(matrices, axis1=-2, axis2=-1)
    return np.stack([right, matrices.sum(-1), matrices.sum(-2)], -3).astype(np.float64)


def scores(counted: Array, drawn: Array, score: Score) -> Array:
    """Return a score of each data set drawn, mean over networks.

    ``counted`` holds (K, 3, N, C) ``totals`` of K networks on N images.
    """
    found = np.zeros(len(drawn))
    for network in counted:  # one at a time keeps memory small
        found += score(*(drawn @ network)) / len(counted)
    return found


def interval(scored: Array) -> tuple[float, float]:
    """Return the 95 % percentile interval of the `scores` of data sets.

    Source: percentile bootstrap, Efron (1979).
    """
    low, high = np.nanquantile(scored, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def _mean_ratio(parts: Array, wholes: Array) -> Array:
    """Return the mean over classes of part / whole, where there is a whole."""
    defined = wholes > 0
    ratios = np.divide(parts, wholes, out=np.zeros_like(parts), where=defined)
    counts = defined.sum(-1)
    return np.where(counts > 0, ratios.sum(-1) / np.maximum(counts, 1), np.nan)


def _weighted_iou(right: Array, truth: Array, predicted: Array) -> Array:
    whole = truth + predicted - right
    ratios = np.divide(right, whole, out=np.zeros_like(right), where=whole > 0)
    return _mean_ratio((truth * ratios).sum(-1, keepdims=True), truth.sum(-1, keepdims=True))


SCORES: Mapping[str, Score] = {
    "mean_iou": lambda right, truth, predicted: _mean_ratio(right, truth + predicted - right),
    "frequency_weighted_iou": _weighted_iou,
    "pixel_accuracy": lambda right, truth, _: _mean_ratio(
        right.sum(-1, keepdims=True), truth.sum(-1, keepdims=True)
    ),
    "mean_class_accuracy": lambda right, truth, _: _mean_ratio(right, truth),
    "dice": lambda right, truth, predicted: _mean_ratio(2 * right, truth + predicted),
}
