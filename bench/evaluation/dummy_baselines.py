"""Dummy baselines: three predictors that never see the images, and one that is always right.

They need no network and no image, only the number of pixels of each class in each image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset, class_pixels
from bench.errors import UserError, nearest
from bench.evaluation.counts import STUDY_BATCH, ImageCounts

Counts = NDArray[np.int64]

PERFECT = "perfect"


def from_split(dataset: Dataset, split_name: str, seed: int = 0) -> dict[str, ImageCounts]:
    """Return what each of ``DUMMY_BASELINES`` predicts for a split; see `from_counts`.

    UserError if there is no such split, or no training split to take frequencies from.
    """
    for name in ("train", split_name):
        if name not in dataset.splits:
            raise UserError(f"{dataset.name}: no split {name!r}{nearest(name, dataset.splits)}")
    training, split = dataset.splits["train"], dataset.splits[split_name]
    training_pixels = class_pixels(training, len(dataset.classes)).sum(0)
    if not training_pixels.any():
        raise UserError(f"{dataset.name}: every pixel of the training split is void")
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
    """Return what each of ``DUMMY_BASELINES`` predicts for images whose truth is given.

    The random baselines draw each pixel independently. Their soft sums are those of the
    probabilities that they draw with; those of the other two are of one-hot probabilities.

    ``truth`` is (N, C), how many pixels of each class each of N images has; ``training_pixels``
    (C,), the same over all training images. ValueError if the shapes do not fit, or the latter are
    all 0.
    """
    classes = truth.shape[1]
    if training_pixels.shape != (classes,) or training_pixels.sum() == 0:
        raise ValueError(f"{training_pixels} are no pixels of {classes} classes")
    one_hot = np.eye(classes, dtype=np.int64)
    probabilities = {
        "most_frequent": one_hot[most_frequent(training_pixels)].astype(np.float64),
        "uniform": np.full(classes, 1 / classes),
        "prior": training_pixels / training_pixels.sum(),
    }
    found = {}
    for stream, (name, probability) in enumerate(probabilities.items()):
        # Not default_rng: which generator that is may change with numpy's version.
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, stream))))
        drawn = rng.multinomial(truth, probability)
        predicted = truth.sum(1, keepdims=True) * probability
        found[name] = ImageCounts(names, drawn, truth * probability, predicted, batch_size)
    exact, pixels = truth[:, :, None] * one_hot, truth.astype(np.float64)
    return found | {PERFECT: ImageCounts(names, exact, pixels, pixels, batch_size)}


def most_frequent(training_pixels: Counts) -> int:
    """Return the label with most pixels, the lowest of equals."""
    return int(training_pixels.argmax())


DUMMY_BASELINES: Mapping[str, str] = {
    "most_frequent": "predicts the class that is most frequent in training for every pixel",
    "uniform": "draws the class of every pixel uniformly at random",
    "prior": "draws the class of every pixel with the class frequencies of training",
    PERFECT: "predicts the true class of every pixel",
}
