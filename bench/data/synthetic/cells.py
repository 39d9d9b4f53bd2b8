"""Draws slices of tissue as in electron microscopy: cells that touch, with thin membranes.

Integer arithmetic and one random generator, so that a seed gives the same bytes on any machine.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from bench.data.synthetic.noise import Bytes, Grid, Region, smooth_noise

MEMBRANE, CELL = 0, 1
_FINE = 16  # distances are measured in 1/16 of a pixel
_FAR = np.int64(1) << 48  # larger than any squared distance


def draw_slice(rng: Generator, size: tuple[int, int], spacing: int) -> tuple[Bytes, Bytes]:
    """Return an (H, W) grey image, and (H, W) labels, 0 = membrane, 1 = cell; ``size`` is (H, W).

    ``spacing`` is the mean distance between the centres of neighbouring cells, in pixels. Two
    cells are never 4-connected.

    Membranes are dark, mostly one or two pixels wide, and faint in places: missing a few of their
    pixels joins two cells. Inside cells there are dark threads, which look like membranes but
    separate nothing, and dark blobs. The length and the direction of the cells vary from slice
    to slice.
    """
    cells = _number_cells(rng, size, spacing)
    membrane = _between(cells)
    thick = smooth_noise(rng, size, (spacing, spacing)) > 36
    labels = np.where(membrane | (_grow(membrane) & thick), MEMBRANE, CELL).astype(np.uint8)
    return _render(rng, cells, labels, spacing), labels


def _number_cells(rng: Generator, size: tuple[int, int], spacing: int) -> Grid:
    """Return for each pixel the number of its cell: a Voronoi diagram of a jittered grid.

    Noise distorts the coordinates, so that borders are wavy. Distance across a random direction
    counts more than along it, so that cells are long. A random number is subtracted from the
    squared distance to each cell, so that some cells are larger.
    """
    y, x = _wavy_coordinates(rng, size, spacing)
    direction = rng.integers(-16, 17, size=2)  # (down, right) in sixteenths
    elongation = int(rng.integers(0, 4))
    largest_bonus = (_FINE * spacing) ** 2 // 3
    nearest, numbers = np.full(size, _FAR), np.zeros(size, dtype=np.int64)
    rows, columns = (range(-2 * spacing, side + 2 * spacing, spacing) for side in size)
    centres = ((row, column) for row in rows for column in columns)
    for number, (row, column) in enumerate(centres, 1):
        jitter_y, jitter_x = rng.integers(-spacing // 2, spacing // 2 + 1, size=2).tolist()
        bonus = int(rng.integers(0, largest_bonus + 1))
        centre_y, centre_x = row + jitter_y, column + jitter_x
        near = _window(centre_y, 3 * spacing), _window(centre_x, 3 * spacing)
        down, right = y[near] - _FINE * centre_y, x[near] - _FINE * centre_x
        across = (down * direction[1] - right * direction[0]) // 16
        distance = down * down + right * right + elongation * across * across - bonus
        closer = distance < nearest[near]
        nearest[near][closer] = distance[closer]
        numbers[near][closer] = number
    return numbers


def _wavy_coordinates(rng: Generator, size: tuple[int, int], spacing: int) -> tuple[Grid, Grid]:
    """Return row and column of each pixel in 1/16 pixel, displaced by up to 6/16 of the spacing."""
    rows, columns = np.indices(size, dtype=np.int64)
    wave_y, wave_x = (
        smooth_noise(rng, size, (spacing, spacing)) * 6 * spacing // 128 for _ in range(2)
    )
    return _FINE * rows + wave_y, _FINE * columns + wave_x


def _window(centre: int, reach: int) -> slice:
    return slice(max(0, centre - reach), max(0, centre + reach))


def _between(cells: Grid) -> Region:
    """Return the pixels whose right or lower neighbour is of another cell: a line of one pixel."""
    line = np.zeros(cells.shape, dtype=np.bool_)
    line[:, :-1] |= cells[:, 1:] != cells[:, :-1]
    line[:-1] |= cells[1:] != cells[:-1]
    return line


def _grow(region: Region) -> Region:
    """Return the region with the pixels to the right of it and below it."""
    grown = region.copy()
    grown[1:] |= region[:-1]
    grown[:, 1:] |= region[:, :-1]
    return grown


def _render(rng: Generator, cells: Grid, labels: Bytes, spacing: int) -> Bytes:
    """Return the grey image of labelled cells: uneven light, faint membranes, blur and grain."""
    size = labels.shape[0], labels.shape[1]

    def noise(cell: int) -> Grid:
        return smooth_noise(rng, size, (cell, cell))

    shade = rng.integers(-14, 15, size=int(cells.max()) + 1)[cells]  # of each cell
    light = 168 + shade + noise(2 * spacing) // 5 + noise(3) // 7
    contrast = (noise(spacing // 2 + 1) + 128) * 100 // 256  # percent
    depth = 30 + 80 * contrast // 100
    picture = light - np.where(labels == MEMBRANE, depth, 0)
    inside = (labels == CELL) & ~_grow(_grow(labels == MEMBRANE))
    threads = (np.abs(noise(spacing // 2 + 2)) < 7) & (noise(spacing) > 12)
    picture -= np.where(threads & inside, depth * 3 // 4, 0)
    blobs = noise(spacing // 3 + 2) > 70
    picture -= np.where(blobs & inside, 45, 0)
    grain = rng.integers(-13, 14, size=(2, *size)).sum(axis=0)
    return np.asarray((_blur(picture) + grain).clip(0, 255), dtype=np.uint8)


def _blur(picture: Grid) -> Grid:
    """Return the picture filtered by a 3×3 binomial window, its edge repeated."""
    wide = np.pad(picture, 1, mode="edge")
    rows = wide[:-2] + 2 * wide[1:-1] + wide[2:]
    blurred: Grid = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) // 16
    return blurred
