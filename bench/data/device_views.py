"""Images kept as bytes on a device, and batches of them read at any of their pixels.

Images may be of different sizes: they lie one after the other in one row of pixels, and a pixel is
found by where its image starts. What an augmentation does to a batch is another view of it, in
which nothing is computed before it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data.dataset import Split

# Pixel rows and columns, int64, that broadcast to (B, R, S).
Read = Callable[[Tensor, Tensor], Tensor]
ReadMaps = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True)
class View:
    """A batch of images with their labels and weights, each of its own size.

    ``image`` returns (B, R, S, channels) float32, ``maps`` what there is of labels uint8 and
    weights float32, (B, R, S) each, at rows and columns inside the images.
    """

    image: Read
    maps: ReadMaps
    heights: Tensor  # (B, 1, 1) int64
    widths: Tensor
    largest: tuple[int, int]  # height and width that no image of the batch exceeds
    interpolated: bool = False  # whether reading a pixel reads several others


@dataclass(frozen=True)
class KeptImages:
    """The images of a split on a device: ``pixels`` (P, channels) and ``maps`` (P,) of them all."""

    pixels: Tensor  # uint8, or int16 with the bits of uint16, which torch can index nowhere
    maps: tuple[Tensor, ...]  # labels uint8, if there are any weights float32
    shapes: NDArray[np.int64]  # (N, 2) heights and widths, in main memory
    places: Tensor  # (N, 3) int64 start, height and width, on the device

    @property
    def nbytes(self) -> int:
        """How many bytes of the device's memory are kept."""
        return sum(kept.nbytes for kept in (self.pixels, *self.maps, self.places))

    @property
    def bits(self) -> int:
        """Bits of a channel, 8 or 16."""
        return self.pixels.itemsize * 8

    def view(self, index: Tensor, largest: tuple[int, int]) -> View:
        """Return the images with these numbers, (B,) int64."""
        start, heights, widths = self.places[index, :, None, None].unbind(1)

        def image(rows: Tensor, columns: Tensor) -> Tensor:
            found = self.pixels[start + rows * widths + columns]
            return (found if self.bits == 8 else found.int() & 0xFFFF).float()

        def maps(rows: Tensor, columns: Tensor) -> tuple[Tensor, ...]:
            at = start + rows * widths + columns
            return tuple(values[at] for values in self.maps)

        return View(image, maps, heights, widths, largest)


def keep(
    split: Split, names: Sequence[str], weights: Sequence[NDArray[Any]], device: torch.device
) -> KeptImages:
    """Read images, and copy them to a device with their labels and, if given, their weights."""
    pairs = [split.read(name) for name in names]
    shapes = np.array([mask.shape for _, mask in pairs], dtype=np.int64)
    areas = shapes.prod(1)
    places = np.column_stack([areas.cumsum() - areas, shapes])
    channels = pairs[0][0].shape[-1]
    images = [_signed(image).reshape(-1, channels) for image, _ in pairs]
    maps = [[mask.reshape(-1) for _, mask in pairs]]
    if weights:
        maps.append([weight.reshape(-1) for weight in weights])
    joined = (_joined(arrays, device) for arrays in maps)
    return KeptImages(
        _joined(images, device), tuple(joined), shapes, torch.from_numpy(places).to(device)
    )


def flipped(view: View, chosen: Tensor) -> View:
    """Mirror the images that are chosen, (B, 1, 1) bool, left to right."""

    def seen(columns: Tensor) -> Tensor:
        return torch.where(chosen, view.widths - 1 - columns, columns)

    return replace(
        view,
        image=lambda rows, columns: view.image(rows, seen(columns)),
        maps=lambda rows, columns: view.maps(rows, seen(columns)),
    )


def warped(view: View, positions: Callable[[View, Tensor, Tensor], tuple[Tensor, Tensor]]) -> View:
    """Read every pixel where ``positions`` of its row and column points, float (B, R, S) each.

    Images are interpolated, labels and weights taken from the nearest pixel. Beyond its borders an
    image is mirrored, the edge pixel not repeated.
    """
    source = materialised(view) if view.interpolated else view
    heights, widths = source.heights, source.widths

    def image(rows: Tensor, columns: Tensor) -> Tensor:
        down, right = positions(source, rows, columns)
        top, left = down.floor(), right.floor()
        below, beside = (down - top)[..., None].float(), (right - left)[..., None].float()
        first, second = (mirrored(top.long() + step, heights) for step in (0, 1))
        west, east = (mirrored(left.long() + step, widths) for step in (0, 1))
        upper = torch.lerp(source.image(first, west), source.image(first, east), beside)
        lower = torch.lerp(source.image(second, west), source.image(second, east), beside)
        return torch.lerp(upper, lower, below)

    def maps(rows: Tensor, columns: Tensor) -> tuple[Tensor, ...]:
        down, right = positions(source, rows, columns)
        nearest = (at.round().long() for at in (down, right))
        row, column = map(mirrored, nearest, (heights, widths))
        return source.maps(row, column)

    return replace(source, image=image, maps=maps, interpolated=True)


def recoloured(view: View, change: Callable[[Tensor], Tensor]) -> View:
    """Change the grey values of the images, (B, R, S, channels)."""
    return replace(view, image=lambda rows, columns: change(view.image(rows, columns)))


def materialised(view: View) -> View:
    """Compute all pixels of a view once, so that reading one again costs little."""
    device, (height, width) = view.heights.device, view.largest
    rows, columns = (
        torch.arange(size, device=device).expand(len(view.heights), -1) for size in (height, width)
    )
    # Of an image smaller than the largest, the rest is never read.
    inside = (
        torch.minimum(rows[:, :, None], view.heights - 1),
        torch.minimum(columns[:, None, :], view.widths - 1),
    )
    pixels = view.image(*inside).flatten(0, 2)
    kept = tuple(values.flatten() for values in view.maps(*inside))
    start = torch.arange(len(rows), device=device)[:, None, None] * (height * width)

    def at(rows: Tensor, columns: Tensor) -> Tensor:
        return start + rows * width + columns

    return replace(
        view,
        image=lambda rows, columns: pixels[at(rows, columns)],
        maps=lambda rows, columns: tuple(values[at(rows, columns)] for values in kept),
        interpolated=False,
    )


def mirrored(index: Tensor, sizes: Tensor) -> Tensor:
    """Return which pixels of sides of these sizes lie at any indices, also far outside."""
    last = sizes - 1
    place = index.remainder((2 * last).clamp(min=1))  # a side of one pixel is that pixel everywhere
    return torch.minimum(place, 2 * last - place).clamp(min=0)


def _signed(image: NDArray[Any]) -> NDArray[Any]:
    return image.view(np.int16) if image.dtype == np.uint16 else image


def _joined(arrays: Sequence[NDArray[Any]], device: torch.device) -> Tensor:
    """Copy arrays to a device one by one, so that main memory never holds them twice."""
    kept = torch.empty(
        (sum(map(len, arrays)), *arrays[0].shape[1:]),
        dtype=torch.from_numpy(arrays[0][:0]).dtype,
        device=device,
    )
    begin = 0
    for array in arrays:
        kept[begin : begin + len(array)] = torch.from_numpy(np.ascontiguousarray(array)).to(device)
        begin += len(array)
    return kept
