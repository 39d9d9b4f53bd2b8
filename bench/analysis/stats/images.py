"""What the same networks might score on other images: a bootstrap over images.

It says nothing about other training runs, and must not decide between settings: taken for
replicates, images find differences where there are none in a quarter of cases and more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from bench.analysis.stats.constants import ALPHA

Array = NDArray[np.float64]
# (right, truth, predicted), each (..., C) pixels of each class → score (...)
Score = Callable[[Array, Array, Array], Array]


def mean_iou(right: Array, truth: Array, predicted: Array) -> Array:
    """Mean intersection over union of the classes that occur or are predicted."""
    return _mean_ratio(right, truth + predicted - right)


def pixel_accuracy(right: Array, truth: Array, predicted: Array) -> Array:
    """Share of the pixels that are right."""
    return _mean_ratio(right.sum(-1, keepdims=True), truth.sum(-1, keepdims=True))


def mean_class_accuracy(right: Array, truth: Array, predicted: Array) -> Array:
    """Mean share of right pixels, over the classes that occur."""
    return _mean_ratio(right, truth)


def draws(images: int, generator: np.random.Generator, *, count: int = 1000) -> Array:
    """Return (count, images): how often each image is in each data set drawn with replacement."""
    return generator.multinomial(images, np.full(images, 1 / images), size=count).astype(np.float64)


def interval(
    right: Array, truth: Array, predicted: Array, drawn: Array, score: Score
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a data set's score, mean over networks.

    Args:
        right: (K, N, C) pixels that K networks get right in N images, by class.
        truth: (N, C) pixels of each class in each image.
        predicted: (K, N, C) pixels that are given each class.
        drawn: what ``draws`` returned for N images.
        score: one of ``SCORES``.

    Source: percentile bootstrap, Efron (1979).
    """
    occurring = drawn @ truth
    scores = np.zeros(len(drawn))
    for own, given in zip(right, predicted, strict=True):  # one at a time keeps memory small
        scores += score(drawn @ own, occurring, drawn @ given) / len(right)
    low, high = np.nanquantile(scores, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def _mean_ratio(parts: Array, wholes: Array) -> Array:
    """Return the mean over classes of part / whole, where there is a whole."""
    defined = wholes > 0
    ratios = np.divide(parts, wholes, out=np.zeros_like(parts), where=defined)
    counts = defined.sum(-1)
    return np.where(counts > 0, ratios.sum(-1) / np.maximum(counts, 1), np.nan)


SCORES: Mapping[str, Score] = {
    "mean_iou": mean_iou,
    "pixel_accuracy": pixel_accuracy,
    "mean_class_accuracy": mean_class_accuracy,
}
