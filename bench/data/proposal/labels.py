"""What masks of a folder hold: values or colours, how often, and which of them may be void."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.data import problems
from bench.data.files.images import read_colour, read_ids
from bench.data.files.pairs import Pairs
from bench.data.files.unknown import PHOTOGRAPH, Meaning
from bench.errors import UserError

MOST_MASKS = 2000  # of a folder that are read, evenly spaced
_LOOKED_AT = 40  # masks in which it is looked whether a value lies along borders
_ALONG_BORDERS = 0.7  # of the pixels of void are so near a border that they vanish when eroded
_TOUCHED = 0.7  # of the other classes touch what is void between them


@dataclass
class Labels:
    """What the masks hold: ``pixels`` by split and meaning, ``masks`` in which each meaning is.

    ``read`` of ``count`` masks were looked into. ``void`` says of what is suspected to be void why.
    """

    coloured: bool
    count: int
    read: int = 0
    pixels: dict[str, Counter[Meaning]] = field(default_factory=dict)
    masks: Counter[Meaning] = field(default_factory=Counter)
    void: dict[Meaning, str] = field(default_factory=dict)

    def total(self) -> Counter[Meaning]:
        """Return the pixels of each meaning over all splits."""
        return sum(self.pixels.values(), Counter())

    def meanings(self) -> list[Meaning]:
        """Return all values, or colours, in ascending order."""
        return sorted(self.total())


def read(splits: dict[str, Pairs]) -> Labels:
    """Read the masks of all splits, or of very many an even sample.

    UserError if masks cannot be read, or hold more values or colours than classes can be.
    """
    files = [(split, mask) for split, pairs in splits.items() for _, mask in pairs.values()]
    chosen = files[:: -(-len(files) // MOST_MASKS)]
    labels = Labels(_is_coloured(chosen[0][1]), len(files), len(chosen))
    errors = []
    for split, path in chosen:
        counts = labels.pixels.setdefault(split, Counter())
        try:
            found = _counted(path, coloured=labels.coloured)
        except UserError as error:
            errors.append(error)
            continue
        counts.update(found)
        labels.masks.update(found.keys())
        if len(labels.masks) > PHOTOGRAPH * 4:
            raise UserError(f"{path}: {len(labels.masks)} values or colours until here: no masks?")
    if errors:
        raise UserError(problems.grouped(errors, len(chosen))[0])
    if not labels.coloured:
        labels.void = _suspected([path for _, path in chosen], labels.meanings())
    return labels


def _is_coloured(path: Path) -> bool:
    try:
        read_ids(path)
    except UserError:
        return True
    return False


def _counted(path: Path, *, coloured: bool) -> Counter[Meaning]:
    if not coloured:
        pixels = np.bincount(read_ids(path).ravel(), minlength=256)
        return Counter({int(value): int(pixels[value]) for value in pixels.nonzero()[0]})
    packed = read_colour(path).astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
    codes, pixels = np.unique(packed, return_counts=True)
    if len(codes) > PHOTOGRAPH * 4:
        raise UserError(f"{path}: has {len(codes)} colours, as a photograph: is it a mask?")
    colours = [(code & 255, code >> 8 & 255, code >> 16) for code in codes.tolist()]
    return Counter(dict(zip(colours, pixels.tolist(), strict=True)))


def _suspected(masks: Sequence[Path], values: Sequence[Meaning]) -> dict[Meaning, str]:
    """Return which values are likely to be void, and why."""
    others = [value for value in values if value != 255]
    void: dict[Meaning, str] = {}
    if 255 in values and len(others) > 1:
        void[255] = "255 is the usual value of void"
    last = max(others, default=0)
    if others == [*range(12)] and all(path.parent.name.endswith("annot") for path in masks):
        void[11] = "it is in CamVid's masks as SegNet has them"
        return void
    if len(others) > 2 and isinstance(last, int) and _is_between(masks, last, len(others) - 1):
        void[last] = f"{last} lies along the borders of nearly all others"
    return void


def _is_between(masks: Sequence[Path], value: int, others: int) -> bool:
    """Say whether most of a value's pixels lie along borders, and touch most other values."""
    pixels = inside = 0
    touched: set[int] = set()
    step = -(-len(masks) // _LOOKED_AT)
    for path in masks[::step]:
        mask = read_ids(path)
        where: NDArray[np.uint8] = (mask == value).astype(np.uint8)
        pixels += int(where.sum())
        inside += int(cv2.erode(where, np.ones((5, 5), np.uint8)).sum())
        around = cv2.dilate(where, np.ones((3, 3), np.uint8)) > where
        touched |= set(np.unique(mask[around]).tolist())
    is_thin = inside <= (1 - _ALONG_BORDERS) * pixels
    return pixels > 0 and is_thin and len(touched - {255}) >= _TOUCHED * others
