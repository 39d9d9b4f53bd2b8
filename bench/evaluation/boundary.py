"""Scores of the shapes that labels form: boundaries everywhere, and what a dataset asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import torch

from bench.data.dataset import IGNORE_INDEX, ImageScores, Mask
from unet.boundary import boundary_counts


class Shapes:
    """Collects, image by image, what no confusion matrix holds.

    Args:
        num_classes: C.
        extra: further scores of the dataset, if it has any.
    """

    def __init__(self, num_classes: int, extra: ImageScores | None = None) -> None:
        self._extra = extra
        self._boundaries = torch.zeros(2, num_classes, dtype=torch.int64)
        self._images: dict[str, dict[str, Any]] = {}

    def look(self, name: str, prediction: Mask, truth: Mask) -> None:
        """Take in one image: (H, W) predicted labels and true ones."""
        counts = boundary_counts(
            torch.from_numpy(prediction),
            torch.from_numpy(truth),
            self._boundaries.shape[1],
            ignore_index=IGNORE_INDEX,
        )
        self._boundaries += counts
        occurring = [
            [label, both, either]
            for label, (both, either) in enumerate(counts.T.tolist())
            if either
        ]
        scores = self._extra.score(prediction, truth) if self._extra else {}
        numbers = {score: _number(value) for score, value in scores.items()}
        self._images[name] = {"boundary": occurring, **({"scores": numbers} if numbers else {})}

    def metrics(self) -> dict[str, Any]:
        """Return the scores of all images together, as JSON (undefined: None).

        Boundary IoU comes from counts added up over the images; a further score is the mean
        over the images that have it.
        """
        both, either = self._boundaries.double()
        by_class = [_number(value) for value in both / either]
        defined = [value for value in by_class if value is not None]
        mean = fmean(defined) if defined else None
        return {"mean_boundary_iou": mean, **self._means(), "boundary_iou": by_class}

    def json(self) -> Mapping[str, Any]:
        """Return what is stored of each image, by its name."""
        return self._images

    def _means(self) -> dict[str, float | None]:
        rows = [image.get("scores", {}) for image in self._images.values()]
        columns = {
            name: [row[name] for row in rows if row[name] is not None]
            for name in (rows[0] if rows else ())
        }
        return {name: fmean(values) if values else None for name, values in columns.items()}


def _number(value: torch.Tensor | float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
