"""A painter of tissue as an electron microscope shows it: cells that touch, thin membranes.

Integer arithmetic and one random generator, as in ``bench.data.synthetic.scenes``: a seed gives
the same bytes everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bench.data.synthetic.scenes import smooth_noise

Grid = NDArray[np.int64]  # (H, W)
Region = NDArray[np.bool_]  # (H, W)

MEMBRANE, CELL = 0, 1
_FINE = 16  # parts of a pixel in which the way to a cell is measured
_FAR = np.int64(1) << 48


def draw_tissue(
    rng: Generator, size: tuple[int, int], spacing: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paint one slice.

    Membranes are dark, mostly one or two pixels wide, and faint in places: who misses a few of
    their pixels joins two cells. Inside cells lie dark threads that look the same and part
    nothing, and dark blobs. How long cells are, and in which direction, differs from slice to
    slice.

    Args:
        rng: decides everything else.
        size: height and width in pixels.
        spacing: from the middle of a cell to the next, in pixels, on average.

    Returns:
        An (H, W) grey image, and (H, W) labels, 0 = membrane, 1 = cell. Two cells never touch,
        not even by one of four neighbours.
    """
    cells = _cells(rng, size, spacing)
    membrane = _between(cells)
    thick = smooth_noise(rng, size, (spacing, spacing)) > 36
    labels = np.where(membrane | (_grown(membrane) & thick), MEMBRANE, CELL).astype(np.uint8)
    return _photograph(rng, cells, labels, spacing), labels


def _cells(rng: Generator, size: tuple[int, int], spacing: int) -> Grid:
    """Number the pixels by the cell that they are of: the nearest of shaken points of a grid.

    Nearest as seen through a wavy, stretched glass.
    """
    height, width = size
    reach = 3 * spacing
    waves = (smooth_noise(rng, size, (spacing, spacing)) * 6 * spacing // 128 for _ in range(2))
    y, x = (
        _FINE * np.arange(side, dtype=np.int64).reshape(shape) + wave
        for side, shape, wave in zip(size, ((-1, 1), (1, -1)), waves, strict=True)
    )
    # A direction in sixteenths, and how much longer a way across it is than along it.
    along = rng.integers(-16, 17, size=2)
    stretch = int(rng.integers(0, 4))
    most = (_FINE * spacing) ** 2 // 3  # by which some cells are larger
    nearest, numbers = np.full(size, _FAR), np.zeros(size, dtype=np.int64)
    number = 0
    for row in range(-2 * spacing, height + 2 * spacing, spacing):
        for column in range(-2 * spacing, width + 2 * spacing, spacing):
            number += 1
            shaken = rng.integers(-spacing // 2, spacing // 2 + 1, size=2)
            top, left = row + int(shaken[0]), column + int(shaken[1])
            growth = int(rng.integers(0, most + 1))
            part = np.s_[
                max(0, top - reach) : max(0, top + reach),
                max(0, left - reach) : max(0, left + reach),
            ]
            down, right = y[part] - _FINE * top, x[part] - _FINE * left
            across = (down * along[1] - right * along[0]) // 16
            distance = down * down + right * right + stretch * across * across - growth
            closer = distance < nearest[part]
            nearest[part][closer] = distance[closer]
            numbers[part][closer] = number
    return numbers


def _between(cells: Grid) -> Region:
    """Return the pixels whose right or lower neighbour is of another cell: a line of one pixel."""
    line = np.zeros(cells.shape, dtype=np.bool_)
    line[:, :-1] |= cells[:, 1:] != cells[:, :-1]
    line[:-1] |= cells[1:] != cells[:-1]
    return line


def _grown(region: Region) -> Region:
    grown = region.copy()
    grown[1:] |= region[:-1]
    grown[:, 1:] |= region[:, :-1]
    return grown


def _photograph(
    rng: Generator, cells: Grid, labels: NDArray[np.uint8], spacing: int
) -> NDArray[np.uint8]:
    """Return the grey picture of labelled cells: uneven light, faint edges, blur and grain."""
    size = labels.shape[0], labels.shape[1]
    shade = rng.integers(-14, 15, size=int(cells.max()) + 1)[cells]  # cells differ a little
    light = 168 + shade + smooth_noise(rng, size, (2 * spacing, 2 * spacing)) // 5
    light += smooth_noise(rng, size, (3, 3)) // 7
    fading = (smooth_noise(rng, size, (spacing // 2 + 1, spacing // 2 + 1)) + 128) * 100 // 256
    depth = 30 + 80 * fading // 100
    picture = light - np.where(labels == MEMBRANE, depth, 0)
    inside = (labels == CELL) & ~_grown(_grown(labels == MEMBRANE))
    threads = np.abs(smooth_noise(rng, size, (spacing // 2 + 2, spacing // 2 + 2))) < 7
    some = smooth_noise(rng, size, (spacing, spacing)) > 12
    picture -= np.where(threads & some & inside, depth * 3 // 4, 0)
    blobs = smooth_noise(rng, size, (spacing // 3 + 2, spacing // 3 + 2)) > 70
    picture -= np.where(blobs & inside, 45, 0)
    grain = rng.integers(-13, 14, size=(2, *size)).sum(axis=0)
    return np.asarray((_blurred(picture) + grain).clip(0, 255), dtype=np.uint8)


def _blurred(picture: Grid) -> Grid:
    """Return the picture seen through a 3×3 binomial window, its edge repeated."""
    wide = np.pad(picture, 1, mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    blurred: Grid = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) // 16
    return blurred
