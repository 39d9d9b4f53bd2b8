"""Which image belongs to which mask, and to which split, in a folder of somebody's own."""

from __future__ import annotations

import os
from pathlib import Path

from bench.errors import UserError, nearest

SPLITS = ("train", "val", "test")
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".bmp", ".pgm", ".png", ".ppm", ".tif", ".tiff")  # the lossless ones
_NAMED = 3  # missing files that a message names

Pairs = dict[str, tuple[Path, Path]]  # name → image file, mask file


def find_pairs(folder: Path) -> dict[str, Pairs]:
    """Return images and their masks by split.

    Images lie in ``images/``, masks in ``masks/`` under the same path but for the suffix.
    Splits are what ``train.txt``, ``val.txt`` and ``test.txt`` list; where there is no such
    file, the subfolders of these names.

    Raises:
        UserError: if train or val is missing or empty, an image has no mask, a name is not
            clear, or an image is in two splits.
    """
    images = _index(folder / "images", IMAGE_SUFFIXES)
    masks = _index(folder / "masks", MASK_SUFFIXES)
    members = _listed_splits(folder, images) or _subfolder_splits(images)
    for split in ("train", "val"):
        if not members.get(split):
            raise UserError(
                f"{folder}: no images in images/{split}/, and none listed in {split}.txt"
            )
    found = {}
    for split, keys in members.items():
        missing = [key for key in keys if key not in masks]
        if missing:
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            raise UserError(
                f"{folder / 'masks'}: {len(missing)} of {len(keys)} masks of the {split} split "
                f"are missing: {', '.join(missing[:_NAMED])}{more} ({' '.join(MASK_SUFFIXES)})"
            )
        found[split] = {_name(key, images[key]): (images[key], masks[key]) for key in keys}
    return found


def _index(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the pictures in a folder and below, by their path without suffix."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    index: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            key = path.relative_to(folder).with_suffix("").as_posix()
            if not _is_text(key):
                raise UserError(f"{folder}: the name {os.fsencode(path.name)!r} is no text (UTF-8)")
            if key in index:
                raise UserError(f"{path}: has the same name as {index[key].name} beside it")
            index[key] = path
    return index


def _subfolder_splits(images: dict[str, Path]) -> dict[str, list[str]]:
    splits = {split: [key for key in images if key.startswith(f"{split}/")] for split in SPLITS}
    return {split: keys for split, keys in splits.items() if keys}


def _listed_splits(folder: Path, images: dict[str, Path]) -> dict[str, list[str]]:
    """Return what the lists name, with or without suffix; empty where there is no list."""
    by_name = {_name(key, path): key for key, path in images.items()}
    splits: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for split in SPLITS:
        path = folder / f"{split}.txt"
        if not path.is_file():
            continue
        splits[split] = []
        for number, name in _lines(path):
            key = by_name.get(name, name)
            if key not in images:
                raise UserError(f"{path}, line {number}: no image {name!r}{nearest(name, by_name)}")
            if key in seen:
                raise UserError(f"{path}, line {number}: {name!r} is in {seen[key]} already")
            seen[key] = path.name
            splits[split].append(key)
    return splits


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]


def _is_text(name: str) -> bool:
    """Tell whether a file's name can be written down; a file system takes any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name(key: str, path: Path) -> str:
    return f"{key}{path.suffix}"
