"""Intervals over images, of stores that hold counts by image."""

import numpy as np
import pytest

from bench.analysis.analysis import load


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


@pytest.mark.parametrize("name", ["seven arms", "nothing run"])
def test_few_images_are_not_resampled(example, name):
    assert load(example(name)).image_intervals == {}
