"""Metrics of a user's own: scores of one image, averaged over the images of a split."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bench.components.names import find
from bench.data.dataset import Dataset, ImageScores, Mask

Function = Callable[..., Any]  # (prediction, truth) → number


def functions(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Function]:
    """Return, by name, what scores a prediction (H, W) against the truth (H, W, 255 = void).

    ``metrics`` is name → options. UserError if one cannot be imported.
    """
    return {
        name: partial(find("metric", name).load(), **options) for name, options in metrics.items()
    }


def higher_is_better(name: str) -> bool:
    """Tell which way a metric gets better: what its attribute ``higher_is_better`` says."""
    return bool(getattr(find("metric", name).load(), "higher_is_better", True))


def scores(dataset: Dataset, metrics: Mapping[str, Mapping[str, Any]]) -> ImageScores | None:
    """Return what scores an image beside what every segmentation is scored by."""
    own, theirs = functions(metrics), dataset.scores
    if not own:
        return theirs

    def score(prediction: Mask, truth: Mask) -> Mapping[str, float]:
        found = dict(theirs.score(prediction, truth)) if theirs else {}
        return found | {name: float(of(prediction, truth)) for name, of in own.items()}

    return ImageScores((*(theirs.metrics if theirs else ()), *own), score)
