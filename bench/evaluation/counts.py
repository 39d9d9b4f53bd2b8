"""What predictions leave behind for scoring: counts and sums for each image.

Every score of every convention is computed from this, so that none needs the network again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The study does not say how many images a batch had. With two, about 18 of its 22 classes are
# absent from a batch, and 18 / 22 = 0.818 is close to the 0.8236 that it reports.
STUDY_BATCH = 2
_DIGITS = 9  # significant ones that are stored: what float32 holds


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """Predictions of N images with C classes, summed up image by image over pixels that count.

    Attributes:
        names: of the images, in the order of the split.
        matrices: (N, C, C) int64 confusion matrices, rows = truth.
        intersection: (N, C) float64, the probability that the pixels of a class give it.
        predicted: (N, C) float64, the probability that all pixels give a class.
        truth: (N, C) float64, how many pixels a class has: the row sums of the matrices.
        batch_size: how many images, in their order, a batch-wise convention takes together.

    Raises:
        ValueError: if the shapes do not fit, or the matrices are of another truth.
    """

    names: tuple[str, ...]
    matrices: NDArray[np.int64]
    intersection: NDArray[np.float64]
    predicted: NDArray[np.float64]
    truth: NDArray[np.float64]
    batch_size: int = STUDY_BATCH

    def __post_init__(self) -> None:
        images, classes = len(self.names), self.matrices.shape[-1]
        shapes = (
            self.matrices.shape,
            self.intersection.shape,
            self.predicted.shape,
            self.truth.shape,
        )
        if shapes != ((images, classes, classes), *[(images, classes)] * 3):
            raise ValueError(f"{images} images and {classes} classes do not fit shapes {shapes}")
        if not np.array_equal(self.matrices.sum(2), self.truth):
            raise ValueError("the confusion matrices and the soft sums are of different pixels")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")


def confusion_json(counts: ImageCounts) -> dict[str, Any]:
    """Return what is stored of the matrices: ``images``, and ``entries`` for each of them.

    An entry is ``[truth, prediction, pixels]``, one for every cell that is not 0.
    """
    entries = []
    for matrix in counts.matrices:
        cells = np.argwhere(matrix)
        entries.append([[int(t), int(p), int(matrix[t, p])] for t, p in cells])
    return {"images": list(counts.names), "entries": entries}


def soft_json(counts: ImageCounts) -> dict[str, Any]:
    """Return what is stored beside the matrices: ``intersection`` and ``predicted`` by image."""
    return {
        "intersection": _rounded(counts.intersection),
        "predicted": _rounded(counts.predicted),
    }


def from_json(
    confusion: Mapping[str, Any], soft: Mapping[str, Any], *, batch_size: int = STUDY_BATCH
) -> ImageCounts:
    """Build counts from what a trial's details hold.

    Args:
        confusion: what `confusion_json` returned.
        soft: what `soft_json` returned.
        batch_size: of the counts.

    Raises:
        ValueError: if the two do not fit together.
    """
    names, predicted = (
        tuple(confusion["images"]),
        np.array(soft["predicted"], dtype=np.float64),
    )
    predicted = predicted.reshape(len(names), -1)
    matrices = np.zeros((*predicted.shape, predicted.shape[1]), dtype=np.int64)
    for matrix, entries in zip(matrices, confusion["entries"], strict=True):
        for truth, prediction, pixels in entries:
            matrix[truth, prediction] = pixels
    intersection = np.array(soft["intersection"], dtype=np.float64).reshape(predicted.shape)
    truth = matrices.sum(2).astype(np.float64)
    return ImageCounts(names, matrices, intersection, predicted, truth, batch_size)


def _rounded(sums: NDArray[np.float64]) -> list[list[float]]:
    return [[float(f"{value:.{_DIGITS}g}") for value in row] for row in sums]
