"""Per-image confusion matrices of trials, packed: those of thousands fit into memory at once."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.counts import ImageCounts
from bench.store.details import Details, OfImage


@dataclass(frozen=True, eq=False)
class Counts:
    """The confusion matrices of a trial, image by image, without the cells that are 0."""

    names: tuple[str, ...]  # of its N images
    classes: int  # how many there are, C
    cells: NDArray[np.int32]  # (K,), places in an array (N, C, C)
    pixels: NDArray[np.int64]  # (K,), what stands there
    soft: NDArray[np.float64] | None  # (2, N, C), `intersection` and `predicted`, if stored
    train_pixels: tuple[int, ...] | None  # how many training pixels each class has, if stored
    # Score that the dataset or a user adds → (N,), by image, NaN where undefined.
    own: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def matrices(self) -> NDArray[np.int64]:
        """Return the (N, C, C) matrices, rows = truth."""
        flat = np.zeros(len(self.names) * self.classes**2, dtype=np.int64)
        flat[self.cells] = self.pixels
        return flat.reshape(len(self.names), self.classes, self.classes)

    def total(self) -> NDArray[np.int64]:
        """Return the (C, C) matrix of all images together."""
        flat = np.zeros(self.classes**2, dtype=np.int64)
        np.add.at(flat, self.cells % self.classes**2, self.pixels)
        return flat.reshape(self.classes, self.classes)

    def image_counts(self) -> ImageCounts:
        """Return what scores are computed from; ValueError if no soft sums were stored."""
        if self.soft is None:
            raise ValueError("no soft sums were stored")
        return ImageCounts(self.names, self.matrices(), *self.soft)


def pack(details: Details, classes: int) -> Counts | None:
    """Return the counts among a trial's details; None where it has none.

    ValueError if they are not of this number of classes.
    """
    confusion, soft, trained_on = details.confusion, details.soft, details.train_pixels
    if confusion is None:
        return None
    images = len(confusion.images)
    flat = np.fromiter(chain.from_iterable(chain.from_iterable(confusion.entries)), np.int64)
    truth, predicted, pixels = flat.reshape(-1, 3).T
    image = np.repeat(np.arange(images), [len(cells) for cells in confusion.entries])
    if flat.size and max(truth.max(), predicted.max()) >= classes:
        raise ValueError(f"confusion: a label is none of {classes} classes")
    cells = ((image * classes + truth) * classes + predicted).astype(np.int32)
    if len(np.unique(cells)) < len(cells):
        raise ValueError("confusion: a cell is given twice")
    sums = None
    if soft is not None:
        rows = [*soft.intersection, *soft.predicted]
        if {len(soft.intersection), len(soft.predicted)} != {images} or any(
            len(row) != classes for row in rows
        ):
            raise ValueError(f"soft: not of {images} images and {classes} classes")
        sums = np.array(rows, np.float64).reshape(2, images, classes)
    if trained_on is not None and len(trained_on) != classes:
        raise ValueError(f"train_pixels: {len(trained_on)} numbers for {classes} classes")
    own = _own_scores(details.per_image, confusion.images)
    return Counts(confusion.images, classes, cells, pixels.copy(), sums, trained_on, own)


def _own_scores(
    per_image: Mapping[str, OfImage], names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Return score → its values by image, NaN where undefined; none unless all images have it."""
    if any(name not in per_image for name in names):
        return {}
    scores = [per_image[name].scores for name in names]
    shared = [score for score in scores[0] if all(score in one for one in scores)]
    # None becomes NaN.
    return {score: np.array([one[score] for one in scores], np.float64) for score in shared}


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the search for cyclic garbage: JSON makes none, and sets it off all the time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
