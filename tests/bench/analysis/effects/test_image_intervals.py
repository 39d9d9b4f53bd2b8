"""Intervals over images, of stores that hold counts by image."""

import dataclasses

import numpy as np
import pytest

from bench.analysis.analysis import load
from bench.analysis.effects.image_intervals import image_intervals


def test_intervals_over_images_hold_the_score(make_store):
    store = make_store(images=0, counted=20, failures={(1, seed): "oom" for seed in range(3)})
    results = load(store)
    (label,) = intervals = results.image_intervals
    assert label == "ce"
    matrices = [results.counts[key].total() for key in results.done["key"]]
    right = [np.diagonal(matrix) for matrix in matrices]
    unions = [m.sum(0) + m.sum(1) - r for m, r in zip(matrices, right, strict=True)]
    score = np.mean([np.mean(r[u > 0] / u[u > 0]) for r, u in zip(right, unions, strict=True)])
    assert intervals[label].low < score < intervals[label].high
    assert intervals[label].images == 20


def test_networks_evaluated_on_different_images_have_no_interval(make_store):
    """As in cross-validation: draws of the images of one fold say nothing of a mean over folds."""
    results = load(make_store(images=0, counted=20))
    key = results.done.loc[results.done["arm"] == "dice", "key"].iloc[1]
    others = tuple(f"other_{name}" for name in results.counts[key].names)
    results.counts[key] = dataclasses.replace(results.counts[key], names=others)
    assert list(image_intervals(results)) == ["ce"]


@pytest.mark.parametrize("name", ["seven arms", "nothing run"])
def test_few_images_are_not_resampled(example, name):
    assert load(example(name)).image_intervals == {}
