"""Intervals of scores over other images; see ``bench.analysis.stats.images``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects.image_groups import groups
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
    noun: str = "image"  # what is drawn; or ``group`` of images

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.names)


def image_intervals(results: Results) -> dict[str, ImageInterval]:
    """Return the intervals of the first arms; none where images are few or no counts stored.

    All arms see the same resampled data sets. An arm has none if its networks were evaluated on
    different images, as in cross-validation: of its mean, there is no draw. Where images are in
    groups, whole groups are drawn.
    """
    keys = results.done.groupby("arm", sort=False)["key"].agg(list)
    found = {}
    for label in [label for label in results.arms if label in keys][:MOST_ARMS]:
        counts = {key: results.counts[key] for key in keys[label] if key in results.counts}
        names = {one.names for one in counts.values()}
        if len(names) != 1:
            continue
        how, units = parts(results, next(iter(counts))), groups(results, next(iter(counts)))
        if how and units and units.count >= LEAST_IMAGES:
            drawn = draws(units.count, np.random.default_rng(_SEED))
            counted = np.array([how.of(one, units) for one in counts.values()])
            scored = scores(counted, drawn, how.score)
            found[label] = ImageInterval(*interval(scored), next(iter(names)), scored, units.noun)
    return found
