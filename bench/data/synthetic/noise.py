"""What both generators of images draw with: one random generator, and smooth noise of integers."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Grid = NDArray[np.int64]  # (H, W)
Region = NDArray[np.bool_]  # (H, W)
Bytes = NDArray[np.uint8]  # (H, W), grey values or labels


def generator(*seed: int) -> Generator:
    """Return a generator that draws the same numbers with every version of numpy."""
    # Not default_rng: which generator that is may change.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


def smooth_noise(rng: Generator, size: tuple[int, int], cell: tuple[int, int]) -> Grid:
    """Return noise in -128..127 of a size (H, W), interpolated between random points.

    Neighbouring points are one ``cell`` apart: pixels down and across.
    """
    (height, width), (cell_y, cell_x) = size, cell
    points = rng.integers(-128, 128, size=(height // cell_y + 2, width // cell_x + 2))
    row, part_y = np.divmod(np.arange(height, dtype=np.int64), cell_y)
    column, part_x = np.divmod(np.arange(width, dtype=np.int64), cell_x)
    lines = points[row] * (cell_y - part_y)[:, None] + points[row + 1] * part_y[:, None]
    values: Grid = lines[:, column] * (cell_x - part_x) + lines[:, column + 1] * part_x
    return values // (cell_y * cell_x)
