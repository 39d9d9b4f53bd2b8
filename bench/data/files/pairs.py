"""Pairs of files, an image and its mask: found in a folder of the user's, and read together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench import plain_files
from bench.data.dataset import Image, Mask
from bench.data.files import palette
from bench.data.files.images import read_colour, read_grey, read_ids
from bench.errors import UserError, nearest

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".bmp", ".pgm", ".png", ".ppm", ".tif", ".tiff")  # the lossless ones
CACHE_BYTES = 1 << 30  # decoded images and labels that a reader keeps in memory
_NAMED = 3  # missing files that a message names

Pairs = dict[str, tuple[Path, Path]]  # name → image file, mask file


def find_pairs(folder: Path) -> dict[str, Pairs]:
    """Return images and their masks by split: the lists of names, or else the subfolders.

    Images are in ``images/``, masks in ``masks/`` under the same path except for the suffix.
    UserError if train or val is missing or empty, an image has no mask, a name is ambiguous, or
    an image is in two splits.
    """
    images = _index(folder / "images", IMAGE_SUFFIXES)
    masks = _index(folder / "masks", MASK_SUFFIXES)
    members = _listed_splits(folder, images) or _subfolder_splits(images)
    for split in ("train", "val"):
        if not members.get(split):
            places = f"images/{split}/, and none listed in {split}.txt"
            raise UserError(f"{folder}: no images in {places}")
    found = {}
    for split, keys in members.items():
        if missing := [key for key in keys if key not in masks]:
            some = f"{len(missing)} of {len(keys)} masks of the {split} split are missing"
            named = f"{first_of(missing)} ({' '.join(MASK_SUFFIXES)})"
            raise UserError(f"{folder / 'masks'}: {some}: {named}")
        found[split] = {f"{key}{images[key].suffix}": (images[key], masks[key]) for key in keys}
    return found


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


def _index(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the images in a folder and its subfolders, by their path without suffix."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    index: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            key = path.relative_to(folder).with_suffix("").as_posix()
            if key.encode(errors="ignore").decode() != key:  # file systems accept any bytes
                raise UserError(f"{folder}: the name {os.fsencode(path.name)!r} is no text (UTF-8)")
            if key in index:
                raise UserError(f"{path}: has the same name as {index[key].name} beside it")
            index[key] = path
    return index


def _subfolder_splits(images: dict[str, Path]) -> dict[str, list[str]]:
    splits = {split: [key for key in images if key.startswith(f"{split}/")] for split in SPLITS}
    return {split: keys for split, keys in splits.items() if keys}


def _listed_splits(folder: Path, images: dict[str, Path]) -> dict[str, list[str]]:
    """Return the listed images, named with or without suffix; empty if there is no list."""
    by_name = {f"{key}{path.suffix}": key for key, path in images.items()}
    splits: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        if not path.exists():
            continue
        plain_files.check(path)
        splits[split] = []
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read ({error})") from error
        for number, name in enumerate(map(str.strip, lines), 1):
            if not name:
                continue
            key = by_name.get(name, name)
            if key not in images:
                raise UserError(f"{path}, line {number}: no image {name!r}{nearest(name, by_name)}")
            if key in seen:
                raise UserError(f"{path}, line {number}: {name!r} is in {seen[key]} already")
            seen[key] = path.name
            splits[split].append(key)
    return splits
