"""What lies beside the records of trials, packed: that of thousands fits into memory at once."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.counts import ImageCounts


@dataclass(frozen=True, eq=False)
class Counts:
    """The confusion matrices of a trial, image by image, without the cells that are 0.

    Attributes:
        names: of its N images.
        classes: how many there are, C.
        cells: (K,) int32, places in an array (N, C, C).
        pixels: (K,) int64, what stands there.
        soft: (2, N, C) float64, ``intersection`` and ``predicted``; None if not stored.
        train_pixels: how many training pixels each class has; None if not stored.
    """

    names: tuple[str, ...]
    classes: int
    cells: NDArray[np.int32]
    pixels: NDArray[np.int64]
    soft: NDArray[np.float64] | None
    train_pixels: tuple[int, ...] | None

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

    def evidence(self) -> ImageCounts:
        """Return what scores are computed from.

        Raises:
            ValueError: if no soft sums were stored.
        """
        if self.soft is None:
            raise ValueError("no soft sums were stored")
        matrices = self.matrices()
        truth = matrices.sum(2).astype(np.float64)
        return ImageCounts(self.names, matrices, self.soft[0], self.soft[1], truth)


def pack(details: Mapping[str, Any], classes: int) -> Counts | None:
    """Return the counts among a trial's details; None where it has none.

    Args:
        details: as ``Store.details`` returns them.
        classes: how many the trial told apart.
    """
    confusion, soft = details.get("confusion"), details.get("soft")
    if confusion is None:
        return None
    names, entries = tuple(confusion["images"]), confusion["entries"]
    flat = np.fromiter(chain.from_iterable(chain.from_iterable(entries)), np.int64)
    truth, predicted, pixels = flat.reshape(-1, 3).T
    image = np.repeat(np.arange(len(names)), [len(cells) for cells in entries])
    trained_on = details.get("train_pixels")
    return Counts(
        names,
        classes,
        ((image * classes + truth) * classes + predicted).astype(np.int32),
        pixels.copy(),
        None
        if soft is None
        else np.array([soft["intersection"], soft["predicted"]], dtype=np.float64),
        None if trained_on is None else tuple(trained_on),
    )


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the search for cyclic garbage, of which reading JSON makes none and a report little.

    A file of details is tens of thousands of small lists, and every few hundred of them set the
    search off: it takes longer than the reading.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
