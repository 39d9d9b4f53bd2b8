"""What the trained networks might score on other images; see ``bench.analysis.stats.images``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.analysis.stats.images import SCORES, draws, interval
from bench.store.frame import Results
from bench.store.image_counts import Counts

MOST_ARMS = 35  # as many as figures show; all of a large design would take longer than the rest
LEAST_IMAGES = 10  # of fewer, draws are too alike, and rare classes missing from too many of them
_SEED = 2026  # of the resampling, so that the same store gives the same report


@dataclass(frozen=True)
class ImageInterval:
    """The 95 % interval of an arm's score, mean over its networks, over ``images`` resampled."""

    low: float
    high: float
    images: int


def image_intervals(results: Results) -> dict[str, ImageInterval]:
    """Return the intervals of the first arms; none where images are few or no counts stored.

    All arms see the same resampled data sets. A network that was evaluated on other images
    than the first of its arm is left out.
    """
    if results.metric not in SCORES:
        return {}
    keys = results.done.groupby("arm", sort=False)["key"].agg(list)
    found = {}
    for label in [label for label in results.arms if label in keys][:MOST_ARMS]:
        counted = [results.counts[key] for key in keys[label] if key in results.counts]
        counted = [one for one in counted if one.names == counted[0].names]
        if counted and len(counted[0].names) >= LEAST_IMAGES:
            found[label] = _interval(counted, results.metric)
    return found


def _interval(counted: list[Counts], metric: str) -> ImageInterval:
    matrices = [one.matrices() for one in counted]
    right = np.array([np.diagonal(each, axis1=1, axis2=2) for each in matrices], dtype=np.float64)
    predicted = np.array([each.sum(1) for each in matrices], dtype=np.float64)
    truth = matrices[0].sum(2).astype(np.float64)
    images = len(truth)
    drawn = draws(images, np.random.default_rng(_SEED))
    return ImageInterval(*interval(right, truth, predicted, drawn, SCORES[metric]), images)
