"""The canvas that scenes are drawn on: an image, its labels, and random choices in proportion."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from bench.data.synthetic.noise import Grid, Region, smooth_noise

Colour = tuple[int, int, int]  # red, green, blue

LABELS = ("sky", "tree", "building", "grass", "road", "water", "car", "person", "animal")
VOID = 255


class Canvas:
    """A picture and its labels while they are drawn.

    Objects come one after the other, and cover what was drawn before. Coordinates are pixels,
    ``y`` downwards.
    """

    def __init__(self, rng: Generator, size: tuple[int, int]) -> None:
        self.rng = rng
        self.height, self.width = size
        self.y = np.arange(self.height, dtype=np.int64)[:, None]
        self.x = np.arange(self.width, dtype=np.int64)[None, :]
        self.image = np.zeros((*size, 3), dtype=np.int64)
        self.labels = np.zeros(size, dtype=np.uint8)
        self.horizon = self.height * self.between(28, 50) // 100
        self.road_x = self.between(self.width // 4, self.width * 3 // 4)

    def between(self, low: int, high: int) -> int:
        """Return a random integer from ``low`` to ``high``, both included."""
        return int(self.rng.integers(low, high + 1))

    def length(self, low: int, high: int) -> int:
        """Return a length of ``low`` to ``high`` hundredths of the shorter side, at least 1."""
        return max(1, self.between(low, high) * min(self.height, self.width) // 100)

    def choose(self, colours: list[Colour]) -> Colour:
        """Return one of the colours, slightly changed."""
        red, green, blue = colours[self.between(0, len(colours) - 1)]
        shift = self.between(-14, 14)
        return red + shift, green + shift, blue + shift + self.between(-8, 8)

    def noise(self, cell_y: int, cell_x: int) -> Grid:
        """Return smooth noise over the whole picture."""
        return smooth_noise(self.rng, (self.height, self.width), (cell_y, cell_x))

    def fill(self, region: Region, name: str, colour: Colour, texture: Grid | int = 0) -> None:
        """Fill a region with a colour plus a texture; a name that is no class gives VOID."""
        region = np.broadcast_to(region, self.labels.shape)
        rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
        if not rows.size:
            return
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]  # most are small
        grain = np.broadcast_to(np.asarray(texture), region.shape)[part]
        paint = grain[..., None] + np.asarray(colour)
        np.copyto(self.image[part], paint, where=region[part][..., None])
        label = LABELS.index(name) if name in LABELS else VOID
        self.labels[part][region[part]] = label

    def box(self, left: int, top: int, width: int, height: int) -> Region:
        """Return the pixels of a rectangle."""
        inside_y = (self.y >= top) & (self.y < top + height)
        return inside_y & (self.x >= left) & (self.x < left + width)

    def ellipse(self, x: int, y: int, radius_x: int, radius_y: int) -> Region:
        """Return the pixels of an ellipse with its centre at (x, y)."""
        a, b = max(1, radius_x), max(1, radius_y)
        inside: Region = ((self.x - x) * b) ** 2 + ((self.y - y) * a) ** 2 <= (a * b) ** 2
        return inside
