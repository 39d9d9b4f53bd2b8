"""Where a folder of the user's has its images, their masks and its splits."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from bench.data.files import patterns
from bench.data.files.lists import listed
from bench.data.files.pairs import (
    IMAGE_SUFFIXES,
    LOSSY_SUFFIXES,
    MASK_SUFFIXES,
    SPLITS,
    Pairs,
    first_of,
)
from bench.data.files.patterns import Fitting
from bench.errors import UserError
from bench.settings import Settings

SplitName = Literal["train", "val", "test"]


class Layout(Settings):
    """Patterns of images and masks (``bench.data.files.patterns``), and lists of names.

    ``masks`` has as many ``*`` as ``images``; they stand for the same, in their order. ``splits``
    are the folders that ``{split}`` stands for, of all splits that are read; without it, they have
    the names of the splits.
    ``lists`` are files with the names of a split's images, one a line, or with an image and
    its mask in each line.
    """

    images: str | None = None
    masks: str | None = None
    splits: dict[SplitName, str] = Field({})
    lists: dict[SplitName, str] = Field({})

    @model_validator(mode="after")
    def _fits_together(self) -> Layout:
        if (self.images is None) != (self.masks is None):
            raise ValueError("images and masks are given together, or neither is")
        for path in self.lists.values():
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"lists: {path!r} does not lead to a file inside the folder")
        used = list(self.split_folders().values())
        if len(set(used)) < len(used) or any(not name.strip("/.") for name in used):
            raise ValueError("splits: each is a folder of its own")
        if self.splits and not {"train", "val"} <= self.splits.keys():
            raise ValueError("splits: train and val are needed")
        if self.images is None or self.masks is None:
            if self.splits:
                raise ValueError("splits: they need {split} in images")
            return self
        for kind, suffixes in (("images", IMAGE_SUFFIXES), ("masks", MASK_SUFFIXES)):
            try:
                patterns.check(getattr(self, kind), suffixes)
            except ValueError as error:
                raise ValueError(f"{kind}: {error}") from error
        first, second = patterns.stars(self.images), patterns.stars(self.masks)
        if first != second:
            raise ValueError(
                f"masks has {second} * and images {first}: they stand for the same, in their order"
            )
        if self.images == self.masks:
            raise ValueError("masks: the pattern of images again")
        if "{split}" not in self.images and ("{split}" in self.masks or self.splits):
            raise ValueError("images: {split} is missing")
        return self

    def split_folders(self) -> dict[str, str]:
        """Return what ``{split}`` stands for, by split."""
        named: dict[str, str] = dict(self.splits.items())
        return named or {name: name for name in SPLITS}


@dataclass(frozen=True)
class _Found:
    """What fits the patterns of a layout: images by name, masks by what ``*`` stands for."""

    folder: Path
    layout: Layout
    image_pattern: str
    mask_pattern: str
    images: dict[str, Fitting]
    masks: dict[tuple[str | None, ...], Path]


def find_pairs(folder: Path, layout: Layout | None = None) -> dict[str, Pairs]:
    """Return images and their masks by split; a pair is named after its image.

    Without a layout, images are in ``images/`` and masks in ``masks/`` under the same path except
    for the suffix; splits are lists beside them, ``train.txt`` and so on, or else subfolders.

    UserError if train or val is missing or empty, an image has no mask, a name is ambiguous, or
    an image is in two splits.
    """
    layout = layout or Layout()
    lists = _lists(folder, layout)
    found = _fitting(folder, layout, is_listed=bool(lists))
    members = _members(found, lists)
    for split in ("train", "val"):
        if not members.get(split):
            raise UserError(f"{folder}: {_without_images(found, split, lists)}")
    return {split: _pairs(found, split, named) for split, named in members.items() if named}


def find_pool(folder: Path, layout: Layout | None = None) -> tuple[Pairs, Pairs]:
    """Return the images and masks of train and val together, and those of test.

    Where there are no splits, all images are in the first. UserError as ``find_pairs``.
    """
    layout = layout or Layout()
    lists = _lists(folder, layout)
    found = _fitting(folder, layout, is_listed=bool(lists))
    members = _members(found, lists)
    pool, test = {**members.get("train", {}), **members.get("val", {})}, members.get("test", {})
    if not pool and not test and not lists and "{split}" not in (layout.images or ""):
        found = _fitting(folder, layout, is_listed=True)
        pool = dict.fromkeys(found.images)
    if not pool:
        raise UserError(f"{folder}: {_without_images(found, 'train', lists)}")
    return _pairs(found, "", pool), _pairs(found, "test", test)


def _members(found: _Found, lists: Mapping[str, str]) -> dict[str, dict[str, Path | None]]:
    """Return the images of each split, with their masks where lists name these."""
    if lists:
        return listed(found.folder, lists, found.images, patterns.base(found.image_pattern))
    return {
        split: {name: None for name, one in found.images.items() if one.split == split}
        for split in SPLITS
    }


def _pairs(found: _Found, split: str, named: Mapping[str, Path | None]) -> Pairs:
    start = patterns.base(found.image_pattern)
    masks = _with_masks(found, split, named)
    return {name.removeprefix(start): (found.folder / name, mask) for name, mask in masks.items()}


def _lists(folder: Path, layout: Layout) -> dict[str, str]:
    """Return the files that list the images of each split, by path from the folder."""
    if layout.lists or "{split}" in (layout.images or ""):
        return dict(layout.lists.items())
    usual = {split: f"{split}.txt" for split in SPLITS}
    return {split: name for split, name in usual.items() if (folder / name).exists()}


def _fitting(folder: Path, layout: Layout, *, is_listed: bool) -> _Found:
    usual = "{kind}/**/*.*" if is_listed else "{kind}/{{split}}/**/*.*"
    image_pattern = layout.images or usual.format(kind="images")
    mask_pattern = layout.masks or usual.format(kind="masks")
    found = _Found(folder, layout, image_pattern, mask_pattern, {}, {})
    if layout.lists and layout.images is None and not (folder / "images").is_dir():
        return found  # the lists name images and masks
    splits = layout.split_folders()
    images = patterns.find(folder, image_pattern, IMAGE_SUFFIXES, splits)
    masks = patterns.find(folder, mask_pattern, MASK_SUFFIXES, splits)
    # What fits both is a mask: a_mask.png fits *.png too.
    found.images.update((name, one) for name, one in images.items() if name not in masks)
    _by_stars(found.images)
    found.masks.update(_by_stars(masks))
    return found


def _by_stars(found: Mapping[str, Fitting]) -> dict[tuple[str | None, ...], Path]:
    """Return files by what ``{split}`` and ``*`` stand for; UserError if that is the same twice."""
    files: dict[tuple[str | None, ...], Path] = {}
    for one in found.values():
        twin = files.setdefault((one.split, *one.stars), one.path)
        if twin is not one.path:
            raise UserError(f"{one.path}: has the same name as {twin.name} beside it")
    return files


def _without_images(found: _Found, split: str, lists: Mapping[str, str]) -> str:
    """Say where no images of a split were found, and how a folder is split."""
    layout, pattern = found.layout, found.image_pattern
    if layout.lists and split not in layout.lists:
        return f"classes.yaml: files: lists has no {split}"
    if lists:
        return f"no images listed in {lists.get(split, f'{split}.txt')}"
    named = pattern.replace("{split}", layout.split_folders().get(split, split))
    place = patterns.base(named) if layout.images is None else named
    if layout.images is not None and "{split}" in pattern:
        there = sorted((found.folder / patterns.base(named)).glob("*"))
        return f"no file fits {named}" + (f"; there is {there[0].name}" if there else "")
    said = f"no images in {place}, and none listed in {split}.txt"
    whole = pattern.replace("{split}/", "")
    if "{split}" in whole or found.images or not (found.folder / patterns.base(whole)).is_dir():
        return said
    unsplit = patterns.find(found.folder, whole, IMAGE_SUFFIXES, {})
    if not unsplit:
        return said
    return (
        f"{said}; to split the {len(unsplit)} images of {whole}, list the names of some in "
        "train.txt and of others in val.txt, one a line, or let `folds: {count: 5}` deal them out"
    )


def _with_masks(found: _Found, split: str, named: Mapping[str, Path | None]) -> dict[str, Path]:
    """Return the mask of each image of a split; UserError if some have none."""
    pattern, folders = found.mask_pattern, found.layout.split_folders()
    masks, missing = {}, []
    for name, mask in named.items():
        if mask is None:
            image = found.images[name]
            in_split = image.split if "{split}" in pattern else None
            mask = found.masks.get((in_split, *image.stars))
            if mask is None:
                missing.append(
                    patterns.filled(pattern, folders.get(image.split or split, split), image.stars)
                )
                continue
        masks[name] = mask
    if missing:
        start = found.folder / patterns.base(pattern)
        short = [name.removeprefix(patterns.base(pattern)) for name in missing]
        of = f" of the {split} split" if split else ""
        some = f"{len(missing)} of {len(named)} masks{of} are missing"
        suffixes = f" ({' '.join(MASK_SUFFIXES)})" if pattern.endswith(".*") else ""
        raise UserError(f"{start}: {some}: {first_of(short)}{suffixes}{_instead(found, missing)}")
    return masks


def _instead(found: _Found, missing: Sequence[str]) -> str:
    """Say what is there in place of a mask: a lossy file, or one with nearly its name."""
    wanted = found.folder / missing[0]
    stem = wanted if found.mask_pattern.endswith(".*") else wanted.with_suffix("")
    for suffix in LOSSY_SUFFIXES:
        lossy = stem.with_name(stem.name + suffix)
        if lossy.is_file():
            kind = suffix[1:].upper()
            if all(one.path.suffix.lower() in MASK_SUFFIXES for one in found.images.values()):
                return f"; {lossy.name} is there, a {kind}: are images and masks swapped?"
            return f"; {lossy.name} is there, but {kind} changes labels: save as PNG"
    close = sorted(wanted.parent.glob(f"{glob.escape(stem.name)}*"))
    return f"; there is {close[0].name}" if close else ""
