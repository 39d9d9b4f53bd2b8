"""Qualitative examples of a trial: which images are kept, and their pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from bench.data.dataset import Split
from bench.data.pictures import picture
from bench.evaluation.counts import ImageCounts
from bench.evaluation.evaluate import EvaluateSettings
from bench.evaluation.predict import Predictor
from unet import metrics

Put = Callable[[bytes, str], str]  # (content, suffix) -> the name under which it is stored


def choose(counts: ImageCounts, settings: EvaluateSettings) -> list[dict[str, Any]]:
    """Choose images to keep pictures of: some that every trial keeps, its worst, its best.

    Returns:
        ``name``, ``why`` and ``iou`` of each. ``iou`` is the mean over the classes in the image's
        truth or prediction; an entirely void image has none and is never among worst and best.
    """
    scores = metrics.mean_iou(torch.from_numpy(counts.matrices)).tolist()
    iou = dict(zip(counts.names, scores, strict=True))
    ranked = sorted((value, name) for name, value in iou.items() if not math.isnan(value))
    chosen = [(name, "chosen") for name in evenly_spaced(counts.names, settings.panels)]
    chosen += [(name, "worst") for _, name in ranked[: settings.extremes]]
    best = ranked[max(settings.extremes, len(ranked) - settings.extremes) :]
    chosen += [(name, "best") for _, name in reversed(best)]
    return [
        {"name": name, "why": why, "iou": None if math.isnan(iou[name]) else iou[name]}
        for name, why in chosen
    ]


def keep(
    chosen: Iterable[dict[str, Any]],
    model: nn.Module,
    split: Split,
    predictor: Predictor,
    put: Put,
    *,
    predictions_only: bool = False,
) -> list[dict[str, Any]]:
    """Store the image, truth and prediction of each example; return them with the stored names."""
    kept = []
    for example in chosen:
        image, mask = split.read(example["name"])
        prediction = predictor.labels(model, [image])[0]
        pictures = {"prediction": prediction}
        if not predictions_only:
            pictures |= {"image": picture(image)[..., ::-1], "truth": mask}
        for kind, shown in pictures.items():
            png = cv2.imencode(".png", np.ascontiguousarray(shown))[1]
            example = {**example, kind: put(bytes(png), ".png")}
        kept.append(example)
    return kept


def evenly_spaced(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Return some names, the same for every trial."""
    count = min(count, len(names))
    return tuple(names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count))
