"""Intervals of scores over other images; see ``bench.analysis.stats.images``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.analysis.stats.images import SCORES, draws, interval, totals
from bench.store.frame import Results

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

    All arms see the same resampled data sets. An arm has none if its networks were evaluated on
    different images, as in cross-validation: of its mean, there is no draw.
    """
    if results.metric not in SCORES:
        return {}
    keys = results.done.groupby("arm", sort=False)["key"].agg(list)
    found = {}
    for label in [label for label in results.arms if label in keys][:MOST_ARMS]:
        counts = [results.counts[key] for key in keys[label] if key in results.counts]
        images = len(counts[0].names) if counts else 0
        if images >= LEAST_IMAGES and all(one.names == counts[0].names for one in counts):
            drawn = draws(images, np.random.default_rng(_SEED))
            scored = np.array([totals(one.matrices()) for one in counts])
            ends = interval(scored, drawn, SCORES[results.metric])
            found[label] = ImageInterval(*ends, images)
    return found
