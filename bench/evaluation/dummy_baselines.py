"""Predictors that know nothing of the images, and one that knows all: what a score is worth.

No network and no image is needed: how many pixels of each class an image has is enough.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset, Split, class_pixels
from bench.errors import UserError, nearest
from bench.evaluation.counts import STUDY_BATCH, ImageCounts

Counts = NDArray[np.int64]

PERFECT = "perfect"


def canaries(dataset: Dataset, split_name: str, seed: int = 0) -> dict[str, ImageCounts]:
    """Return what each of ``CANARIES`` predicts for a split; see `from_counts`.

    Raises:
        UserError: if there is no such split, or no training split to take frequencies from.
    """
    training, split = _split(dataset, "train"), _split(dataset, split_name)
    training_pixels = class_pixels(training, len(dataset.classes)).sum(0)
    if not training_pixels.any():
        raise UserError(f"{dataset.name}: no pixel of the training split counts")
    truth = class_pixels(split, len(dataset.classes))
    return from_counts(split.names, truth, training_pixels, seed=seed)


def from_counts(
    names: tuple[str, ...],
    truth: Counts,
    training_pixels: Counts,
    *,
    seed: int = 0,
    batch_size: int = STUDY_BATCH,
) -> dict[str, ImageCounts]:
    """Return what each of ``CANARIES`` predicts for images of which the truth is known.

    The random predictors draw each pixel on its own. Their soft sums are those of the
    probabilities that they draw with; those of the other two are of one-hot probabilities.

    Args:
        names: of N images.
        truth: (N, C), how many pixels of each class each image has.
        training_pixels: (C,), the same over all training images; not all 0.
        seed: decides what the random predictors draw, and nothing else.
        batch_size: of the counts.

    Raises:
        ValueError: if the shapes do not fit, or no training pixel counts.
    """
    if training_pixels.shape != truth.shape[1:] or training_pixels.sum() == 0:
        raise ValueError(f"{training_pixels} are no pixels of {truth.shape[1]} classes")
    classes = truth.shape[1]
    known = np.einsum("nc,cd->ncd", truth, np.eye(classes, dtype=np.int64))
    probabilities = {
        "most_frequent": np.eye(classes)[most_frequent(training_pixels)],
        "uniform": np.full(classes, 1 / classes),
        "prior": training_pixels / training_pixels.sum(),
    }
    found = {}
    for stream, (name, probability) in enumerate(probabilities.items()):
        drawn = _generator(seed, stream).multinomial(truth, probability)
        intersection, predicted = (
            truth * probability,
            truth.sum(1, keepdims=True) * probability,
        )
        found[name] = drawn, intersection, predicted
    found[PERFECT] = known, truth.astype(np.float64), truth.astype(np.float64)
    return {
        name: ImageCounts(
            names, drawn, intersection, predicted, truth.astype(np.float64), batch_size
        )
        for name, (drawn, intersection, predicted) in found.items()
    }


def most_frequent(training_pixels: Counts) -> int:
    """Return the label with most pixels, the lowest of equals."""
    return int(training_pixels.argmax())


def _split(dataset: Dataset, name: str) -> Split:
    if name not in dataset.splits:
        raise UserError(f"{dataset.name}: no split {name!r}{nearest(name, dataset.splits)}")
    return dataset.splits[name]


def _generator(*seed: int) -> np.random.Generator:
    # Not default_rng: which generator that is may change with numpy's version.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


CANARIES: Mapping[str, str] = {
    "most_frequent": "gives every pixel the class that is most frequent in training",
    "uniform": "gives every pixel a class at random",
    "prior": "gives every pixel a class at random, as often as it occurs in training",
    PERFECT: "gives every pixel its true class",
}
