"""Scores that no confusion matrix holds: boundary IoU, and those that a dataset defines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import torch

from bench.data.dataset import IGNORE_INDEX, ImageScores, Mask
from unet.boundary import boundary_counts


class PerImageScores:
    """Collects boundary counts and a dataset's own scores (``extra``) image by image."""

    def __init__(self, num_classes: int, extra: ImageScores | None = None) -> None:
        self._extra = extra
        self._boundaries = torch.zeros(2, num_classes, dtype=torch.int64)
        self._images: dict[str, dict[str, Any]] = {}

    def add(self, name: str, prediction: Mask, truth: Mask) -> None:
        """Take in one image: (H, W) predicted labels and true ones."""
        labels, target = torch.from_numpy(prediction), torch.from_numpy(truth)
        classes = self._boundaries.shape[1]
        counts = boundary_counts(labels, target, classes, ignore_index=IGNORE_INDEX)
        self._boundaries += counts
        rows = counts.T.tolist()
        occurring = [[label, *row] for label, row in enumerate(rows) if row[1]]  # with a union
        scores = self._extra.score(prediction, truth) if self._extra else {}
        numbers = {score: _number(value) for score, value in scores.items()}
        self._images[name] = {"boundary": occurring, **({"scores": numbers} if numbers else {})}

    def metrics(self) -> dict[str, Any]:
        """Return the scores of all images together, as JSON (undefined: None).

        Boundary IoU comes from counts added up over the images; a score of the dataset's own is
        the mean over the images that have it.
        """
        intersection, union = self._boundaries.double()
        by_class = [_number(value) for value in intersection / union]
        rows = [image.get("scores", {}) for image in self._images.values()]
        own = {name: _mean([row[name] for row in rows]) for name in (rows[0] if rows else ())}
        return {"mean_boundary_iou": _mean(by_class), **own, "boundary_iou": by_class}

    def json(self) -> Mapping[str, Any]:
        """Return what is stored of each image, by its name."""
        return self._images


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None


def _number(value: torch.Tensor | float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
