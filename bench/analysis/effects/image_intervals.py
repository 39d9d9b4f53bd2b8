"""Intervals of scores over other images; see ``bench.analysis.stats.images``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects.image_parts import LEAST_IMAGES, parts
from bench.analysis.stats.images import draws, interval, scores
from bench.store.frame import Results

MOST_ARMS = 35  # as many as figures show; all of a large design would take longer than the rest
_SEED = 2026  # of the resampling, so that the same store gives the same report


@dataclass(frozen=True, eq=False)
class ImageInterval:
    """The 95 % interval of an arm's score, mean over its networks, over images resampled."""

    low: float
    high: float
    names: tuple[str, ...]  # of the images
    drawn: NDArray[np.float64]  # the score on each data set drawn, the same ones for all arms

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.names)


def image_intervals(results: Results) -> dict[str, ImageInterval]:
    """Return the intervals of the first arms; none where images are few or no counts stored.

    All arms see the same resampled data sets. An arm has none if its networks were evaluated on
    different images, as in cross-validation: of its mean, there is no draw.
    """
    keys = results.done.groupby("arm", sort=False)["key"].agg(list)
    found = {}
    for label in [label for label in results.arms if label in keys][:MOST_ARMS]:
        counts = {key: results.counts[key] for key in keys[label] if key in results.counts}
        names = {one.names for one in counts.values()}
        how = parts(results, next(iter(counts))) if len(names) == 1 else None
        images = len(next(iter(names))) if how else 0
        if how and images >= LEAST_IMAGES:
            drawn = draws(images, np.random.default_rng(_SEED))
            scored = scores(np.array([how.of(one) for one in counts.values()]), drawn, how.score)
            found[label] = ImageInterval(*interval(scored), next(iter(names)), scored)
    return found
