"""From stored masks to labels and back: one look-up table for values or colours.

A table of colours has an entry for each of the 2^24, so that a pixel takes one access for any
number of classes, and unknown colours are found in the same pass.
"""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.data.files.unknown import MOST_COUNTED, Meaning, UnknownLabels

UNKNOWN = 254  # a table's entry for values and colours of no class; so labels end at 253

Bytes = NDArray[np.uint8]
Colour = tuple[int, int, int]  # red, green, blue


def lookup_table(meanings: Sequence[Colour | int], labels: Sequence[int]) -> Bytes:
    """Return the table that maps ``meanings[i]`` to ``labels[i]`` and all else to UNKNOWN.

    It has 2^24 entries for colours, at index red + 256 green + 65536 blue, or 256 for values.
    Several meanings may share a label, which is 0..253 or 255.
    """
    if len(set(meanings)) != len(meanings):
        raise ValueError("a colour or value is given twice")
    if UNKNOWN in labels:
        raise ValueError(f"label {UNKNOWN} is reserved")
    coloured = any(isinstance(meaning, tuple) for meaning in meanings)
    table = np.full(1 << 24 if coloured else 256, UNKNOWN, dtype=np.uint8)
    for meaning, label in zip(meanings, labels, strict=True):
        if isinstance(meaning, tuple):
            red, green, blue = meaning
            meaning = red | green << 8 | blue << 16
        table[meaning] = label
    return table


def to_labels(mask: Bytes, table: Bytes, *, source: object) -> Bytes:
    """Return the (H, W) labels of a mask: RGB colours (H, W, 3), or values (H, W).

    UnknownLabels names the source, and the colours or values that the table does not have.
    """
    codes: NDArray[Any] = mask
    if mask.ndim == 3:
        # A fourth, zero byte makes each pixel one little-endian integer without computation.
        padded = cv2.cvtColor(mask, cv2.COLOR_RGB2RGBA)
        padded[..., 3] = 0
        codes = padded.view("<i4")[..., 0]
    labels: Bytes = table.take(codes)
    if (labels == UNKNOWN).any():
        raise UnknownLabels.of(source, *_counted(codes, labels, coloured=mask.ndim == 3))
    return labels


def to_colours(labels: Bytes, palette: Bytes, *, void: Colour = (0, 0, 0)) -> Bytes:
    """Return an RGB image (H, W, 3) of labels (H, W); labels beyond the palette get ``void``."""
    table = np.full((256, 3), void, dtype=np.uint8)
    table[: len(palette)] = palette
    return table[labels]


def distinct_colours(count: int) -> list[Colour]:
    """Return colours for classes that have none: hues a golden angle apart."""
    values = (0.9, 0.65, 0.45)
    floats = [colorsys.hsv_to_rgb(i * 0.618034 % 1, 0.7, values[i % 3]) for i in range(count)]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in floats]


def _counted(
    codes: NDArray[Any], labels: Bytes, *, coloured: bool
) -> tuple[dict[Meaning, int], frozenset[Meaning]]:
    """Return the pixels of each value or colour of a mask, and those that are unknown.

    Of the colours of a photograph, which may be a million, only the most frequent.
    """
    found, first, pixels = np.unique(codes, return_index=True, return_counts=True)
    order = np.argsort(-pixels, kind="stable")[:MOST_COUNTED]
    meanings: list[Meaning] = found[order].tolist()
    if coloured:
        meanings = [(code & 255, code >> 8 & 255, code >> 16) for code in found[order].tolist()]
    unknown = (labels.ravel()[first] == UNKNOWN)[order]
    counts = dict(zip(meanings, pixels[order].tolist(), strict=True))
    return counts, frozenset(itertools.compress(meanings, unknown.tolist()))
