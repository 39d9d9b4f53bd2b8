"""Pairs of files, an image and its mask, that are read together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from bench.data.dataset import Image, Mask
from bench.data.files import multichannel, palette
from bench.data.files.images import read_colour, read_ids
from bench.data.files.unknown import PHOTOGRAPH, UnknownLabels, in_classes_file, in_table_of_colours
from bench.errors import UserError

SPLITS = ("train", "val", "test")
LOSSY_SUFFIXES = (".jpeg", ".jpg", ".webp")
MASK_SUFFIXES = (".bmp", ".gif", ".pgm", ".png", ".ppm", ".tif", ".tiff")  # the lossless ones
IMAGE_SUFFIXES = tuple(
    sorted({*MASK_SUFFIXES, *LOSSY_SUFFIXES, ".npy"} - {".gif"})  # GIF has 256 colours
)
CACHE_BYTES = 1 << 30  # decoded images and labels that a reader keeps in memory
_NAMED = 3  # missing files that a message names

Pairs = dict[str, tuple[Path, Path]]  # name → image file, mask file


def first_of(names: Sequence[str]) -> str:
    """Return the first few names for a message, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


class PairReader:
    """Reads images and labels by name, and keeps up to CACHE_BYTES of them decoded.

    Images have so many ``channels``, of 8 or 16 bits. ``table`` maps the colours of masks, if they
    are ``coloured``, else their values, to labels. Errors say what to write into a
    ``classes.yaml`` if the user's ``own_classes`` are read.
    """

    def __init__(
        self,
        pairs: Pairs,
        table: NDArray[np.uint8],
        channels: int,
        *,
        coloured: bool,
        own_classes: bool = False,
    ) -> None:
        self.pairs = pairs
        self.table = table
        self.read_image = partial(multichannel.read, channels=channels)
        self.read_mask = read_colour if coloured else _read_ids
        self.own_classes = own_classes
        self.kept: dict[str, tuple[Image, Mask]] = {}
        self.free = CACHE_BYTES

    def __call__(self, name: str) -> tuple[Image, Mask]:
        """Return the (H, W, channels) image and (H, W) labels; UserError names the wrong file."""
        if name not in self.kept:
            image_file, mask_file = self.pairs[name]
            image, stored = self.read_image(image_file), self.read_mask(mask_file)
            if stored.shape[:2] != image.shape[:2]:
                raise UserError(f"{mask_file}: {_sizes(stored.shape, image.shape)}")
            mask = self.labels(stored, mask_file)
            self.free -= image.nbytes + mask.nbytes
            if self.free < 0:
                return image, mask
            self.kept[name] = image, mask
        kept = self.kept[name]
        return kept[0].copy(), kept[1].copy()

    def labels(self, stored: NDArray[np.uint8], file: Path) -> Mask:
        """Return the labels of what a mask's file holds."""
        try:
            return palette.to_labels(stored, self.table, source=file)
        except UnknownLabels as error:
            if not self.own_classes:
                raise
            with PIL.Image.open(file) as opened:
                has_table = opened.mode == "P" and stored.ndim == 2
            mend = in_table_of_colours if has_table else in_classes_file
            raise UnknownLabels.of(file, error.counts, error.unknown, mend) from error


def _sizes(mask: tuple[int, ...], image: tuple[int, ...]) -> str:
    """Say that a mask has another size than its image, and why that may be."""
    said = f"{mask[0]}x{mask[1]} pixels, its image has {image[0]}x{image[1]}"
    if mask[:2] == image[1::-1]:
        return f"{said}; one of them is turned on its side"
    if mask[0] * image[1] == mask[1] * image[0]:
        return f"{said}; one of them was resized: resize masks without interpolation"
    return said


def _read_ids(path: Path) -> Mask:
    """Read a mask of values; where it has colours instead, say what they are likely to be."""
    try:
        return read_ids(path)
    except UserError as error:
        try:
            colours = read_colour(path)
        except UserError:
            raise error from None
        packed = colours.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
        count = len(np.unique(packed))
        mend = f"`masks: palette` with `colours` reads its {count} colours"
        if count > PHOTOGRAPH:
            mend = f"it has {count} colours, as a photograph: are images and masks swapped?"
        raise UserError(f"{error}; {mend}") from error
