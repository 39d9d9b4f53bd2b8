"""Pairs of files, an image and its mask, that are read together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Image, Mask
from bench.data.files import palette
from bench.data.files.images import read_colour, read_grey, read_ids
from bench.errors import UserError

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
LOSSY_SUFFIXES = (".jpeg", ".jpg", ".webp")
MASK_SUFFIXES = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix not in LOSSY_SUFFIXES)
CACHE_BYTES = 1 << 30  # decoded images and labels that a reader keeps in memory
_NAMED = 3  # missing files that a message names

Pairs = dict[str, tuple[Path, Path]]  # name → image file, mask file


def first_of(names: Sequence[str]) -> str:
    """Return the first few names for a message, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


class PairReader:
    """Reads images and labels by name, and keeps up to CACHE_BYTES of them decoded.

    Images are read in grey (1 channel) or colour (3); ``table`` maps the colours of masks, if
    they are ``coloured``, else their values, to labels.
    """

    def __init__(
        self, pairs: Pairs, table: NDArray[np.uint8], channels: Literal[1, 3], *, coloured: bool
    ) -> None:
        self.pairs = pairs
        self.table = table
        self.read_image = read_colour if channels == 3 else read_grey
        self.read_mask = read_colour if coloured else read_ids
        self.kept: dict[str, tuple[Image, Mask]] = {}
        self.free = CACHE_BYTES

    def __call__(self, name: str) -> tuple[Image, Mask]:
        """Return the (H, W, channels) image and (H, W) labels; UserError names the wrong file."""
        if name not in self.kept:
            image_file, mask_file = self.pairs[name]
            image, stored = self.read_image(image_file), self.read_mask(mask_file)
            if stored.shape[:2] != image.shape[:2]:
                raise UserError(
                    f"{mask_file}: {stored.shape[0]}x{stored.shape[1]} pixels, "
                    f"its image has {image.shape[0]}x{image.shape[1]}"
                )
            mask = palette.to_labels(stored, self.table, source=mask_file)
            self.free -= image.nbytes + mask.nbytes
            if self.free < 0:
                return image, mask
            self.kept[name] = image, mask
        kept = self.kept[name]
        return kept[0].copy(), kept[1].copy()
