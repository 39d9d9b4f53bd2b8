"""What each evaluated image contributes to a score of the data set, for the scores that add up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench import metrics
from bench.analysis.effects.image_groups import Groups
from bench.analysis.stats.images import SCORES, Score, totals
from bench.store.frame import Results
from bench.store.image_counts import Counts

LEAST_IMAGES = 10  # of fewer, draws are too alike, and rare classes missing from too many of them
_POOLED = (
    "pixel_accuracy",
    "frequency_weighted_iou",
)  # rare classes count by pixels
_SAME = {"iou": "mean_iou", "recall": "mean_class_accuracy"}  # mean over classes → its own name


@dataclass(frozen=True)
class Parts:
    """How a data set's score comes from its images."""

    score: Score
    classes: tuple[str, ...]  # that the score is a mean over; empty if it is not
    own: str = ""  # the score by image of which it is the mean, if it is one
    index: int | None = None  # of the class that it is about, if one

    def of(self, counts: Counts, groups: Groups) -> NDArray[np.float64]:
        """Return (3, G, C) of groups of images; the score is a function of the sum over them."""
        if self.own:
            values = counts.own[self.own]
            there = ~np.isnan(values)
            found = np.array([np.where(there, values, 0.0), there, there], np.float64)[..., None]
        else:
            found = totals(counts.matrices())
        return groups.sums(found if self.index is None else found[..., self.index, None])


def parts(results: Results, key: str) -> Parts | None:
    """Return how the metric of a trial comes from its images; None where that is not known."""
    metric, accuracy = results.metric, results.records[key].accuracy
    if metric in results.counts[key].own:
        return Parts(SCORES["pixel_accuracy"], (), own=metric)
    base, label = metrics.split(metric)
    name, classes = _SAME.get(base, base), () if accuracy is None else accuracy.classes
    if name not in SCORES:
        return None
    if label is not None:
        return Parts(SCORES[name], (label,), index=classes.index(label))
    return Parts(SCORES[name], () if name in _POOLED else classes)
