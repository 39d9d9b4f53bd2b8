"""Stored example images as arrays to look at: labels in the colours of their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.analysis.analysis import Analysis
from bench.data.dataset import IGNORE_INDEX
from bench.errors import UserError
from bench.store.folder import Store
from bench.store.records import Record

VOID_STRIPES = ((170, 170, 170), (225, 225, 225))  # RGB
_PIXELS = 360  # of the longer side; more of a picture cannot be seen in a report

Picture = NDArray[np.uint8]  # (H, W, 3), RGB
Labels = NDArray[np.uint8]  # (H, W)


def read_image(store: Store, blob: str) -> Picture:
    """Return a stored image, grey or coloured; UserError if it is damaged or no picture."""
    image = cv2.imdecode(np.frombuffer(store.blob(blob), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{store.folder / blob}: is no picture")
    return _reduced(image[..., ::-1].astype(np.uint8), cv2.INTER_AREA)


def read_labels(store: Store, blob: str) -> Labels:
    """Return a stored map of labels; UserError if it is damaged, or not one channel of 8 bits."""
    labels = cv2.imdecode(np.frombuffer(store.blob(blob), np.uint8), cv2.IMREAD_UNCHANGED)
    if labels is None or labels.ndim != 2 or labels.dtype != np.uint8:
        raise UserError(f"{store.folder / blob}: is no picture of labels (8 bits, one channel)")
    return _reduced(labels.astype(np.uint8), cv2.INTER_NEAREST)


def painted(
    results: Analysis, record: Record, blob: str
) -> tuple[Picture, dict[str | None, float]]:
    """Return stored labels in the colours of their classes, and what they hold.

    Returns:
        The picture, and class → share of the pixels, the largest first; void is None.
    """
    classes = record.accuracy.classes if record.accuracy else ()
    names = results.plan.labels.of_classes(classes)
    labels = read_labels(results.store, blob)
    counts = np.bincount(labels.ravel(), minlength=IGNORE_INDEX + 1)
    shares = {
        None if label == IGNORE_INDEX else names[label]: counts[label] / labels.size
        for label in np.argsort(-counts, kind="stable").tolist()
        if counts[label]
    }
    return paint(labels, names, results.palette), shares


def paint(
    labels: Labels, names: Sequence[str], palette: Mapping[str, tuple[int, int, int]]
) -> Picture:
    """Paint labels in the colours of their classes, given as class → RGB.

    ``names[i]`` is the class of label i. Void is striped, so that it cannot be taken for one.
    """
    table = np.zeros((256, 3), np.uint8)
    table[: len(names)] = [palette[name] for name in names]
    height, width = labels.shape
    period = max(2, max(height, width) // 40)
    diagonal = np.add(*np.ogrid[:height, :width]) // period % 2
    stripes = np.array(VOID_STRIPES, np.uint8)[diagonal]
    void = (labels == IGNORE_INDEX)[..., None]
    return np.where(void, stripes, table[labels])


def _reduced(picture: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
    """Shrink a large picture; figures would grow with it, though nobody could see more."""
    height, width = picture.shape[:2]
    scale = _PIXELS / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, size, interpolation=interpolation).astype(np.uint8)
