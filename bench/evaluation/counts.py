"""Counts for each predicted image, from which every score is computed without the network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The original study does not say how many images a batch had. With two, about 18 of its 22
# classes are absent from a batch, and 18 / 22 = 0.818 is close to the 0.8236 that it reports.
STUDY_BATCH = 2
_DIGITS = 9  # significant digits that are stored: what float32 holds


@dataclass(frozen=True, eq=False)
class ImageCounts:
    """Predictions of N images with C classes, counted image by image without void pixels."""

    names: tuple[str, ...]  # in the order of the split
    matrices: NDArray[np.int64]  # (N, C, C) confusion matrices, rows = truth
    intersection: NDArray[np.float64]  # (N, C), a class's probability summed over its own pixels
    predicted: NDArray[np.float64]  # (N, C), the same summed over all pixels
    batch_size: int = STUDY_BATCH  # successive images that form a batch, for variants of batches

    def __post_init__(self) -> None:
        images, classes = len(self.names), self.matrices.shape[-1]
        shapes = self.matrices.shape, self.intersection.shape, self.predicted.shape
        if shapes != ((images, classes, classes), (images, classes), (images, classes)):
            raise ValueError(f"{images} images and {classes} classes do not fit shapes {shapes}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """How many pixels each class has in each image, (N, C)."""
        pixels: NDArray[np.int64] = self.matrices.sum(2)
        return pixels.astype(np.float64)


def confusion_json(counts: ImageCounts) -> dict[str, Any]:
    """Return what is stored of the matrices: ``images``, and ``entries`` for each of them.

    An entry is ``[truth, prediction, pixels]``, one for every cell that is not 0.
    """
    entries = [
        [[int(t), int(p), int(matrix[t, p])] for t, p in np.argwhere(matrix)]
        for matrix in counts.matrices
    ]
    return {"images": list(counts.names), "entries": entries}


def soft_json(counts: ImageCounts) -> dict[str, Any]:
    """Return what is stored beside the matrices: ``intersection`` and ``predicted`` by image."""
    sums = {"intersection": counts.intersection, "predicted": counts.predicted}
    return {name: _rounded(values) for name, values in sums.items()}


def _rounded(sums: NDArray[np.float64]) -> list[list[float]]:
    return [[float(f"{value:.{_DIGITS}g}") for value in row] for row in sums]
