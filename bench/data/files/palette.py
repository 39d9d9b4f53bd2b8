"""Masks as they are stored, masks as labels, and the one look-up table between them.

A table of colours has an entry for each of the 2^24, so a pixel costs one access whatever the
number of classes, and what stands for nothing is found in the same pass.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError

UNKNOWN = 254  # a table's entry for what stands for nothing; so labels end at 253
_NAMED = 3  # unknown colours or values that an error message names

Colour = tuple[int, int, int]  # red, green, blue


def lookup_table(meanings: Sequence[Colour | int], labels: Sequence[int]) -> NDArray[np.uint8]:
    """Return the table that maps ``meanings[i]`` to ``labels[i]`` and all else to UNKNOWN.

    Args:
        meanings: colours, or values in 0..255; not both.
        labels: 0..253, or 255; several meanings may share one.

    Returns:
        2^24 labels, that of a colour at red + 256 green + 65536 blue; or 256, one a value.

    Raises:
        ValueError: if a meaning is given twice or a label is UNKNOWN.
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


def to_labels(
    mask: NDArray[np.uint8], table: NDArray[np.uint8], *, source: object
) -> NDArray[np.uint8]:
    """Return the labels of a mask.

    Args:
        mask: colours (H, W, 3), RGB; or values (H, W).
        table: what ``lookup_table`` returned for colours or for values.
        source: the file, to be named in the message.

    Returns:
        (H, W) labels.

    Raises:
        UserError: if the table knows nothing of a colour or value; those are counted.
    """
    labels: NDArray[np.uint8] = table.take(_codes(mask) if mask.ndim == 3 else mask)
    unknown = labels == UNKNOWN
    if unknown.any():
        raise UserError(f"{source}: {_describe(mask[unknown])}")
    return labels


def to_colours(
    labels: NDArray[np.uint8], palette: NDArray[np.uint8], *, void: Colour = (0, 0, 0)
) -> NDArray[np.uint8]:
    """Return an RGB picture (H, W, 3) of labels (H, W); those beyond the palette get ``void``."""
    table = np.full((256, 3), void, dtype=np.uint8)
    table[: len(palette)] = palette
    return table[labels]


def distinct_colours(count: int) -> list[Colour]:
    """Return colours for classes that came without any: hues a golden angle apart."""
    hues = [index * 0.618034 % 1 for index in range(count)]
    values = [(0.9, 0.65, 0.45)[index % 3] for index in range(count)]
    floats = [colorsys.hsv_to_rgb(hue, 0.7, value) for hue, value in zip(hues, values, strict=True)]
    return [(round(255 * r), round(255 * g), round(255 * b)) for r, g, b in floats]


def _codes(coloured: NDArray[np.uint8]) -> NDArray[np.int32]:
    # A fourth, zero byte makes one little-endian integer of each pixel without arithmetic.
    padded = cv2.cvtColor(coloured, cv2.COLOR_RGB2RGBA)
    padded[..., 3] = 0
    return padded.view("<i4")[..., 0]


def _describe(pixels: NDArray[np.uint8]) -> str:
    """Say which colours (N, 3) or values (N,) are unknown, the most frequent first."""
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    named = [
        f"{tuple(found[i].tolist()) if pixels.ndim == 2 else found[i]} in {counts[i]} "
        f"pixel{'s' if counts[i] > 1 else ''}"
        for i in order[:_NAMED]
    ]
    more = len(order) - len(named)
    kind = "colour" if pixels.ndim == 2 else "value"
    start = f"unknown {kind}" if len(order) == 1 else f"{len(order)} unknown {kind}s:"
    return f"{start} {', '.join(named)}" + (f" and {more} more" if more else "")
