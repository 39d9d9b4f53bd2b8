"""Which runs count as collapsed, against predictions made up to be just as good as a baseline's."""

import dataclasses

import numpy as np
import pytest

from bench.analysis.analysis import load
from bench.analysis.effects import endings
from bench.analysis.effects.endings import COLLAPSED, DIVERGED, TRAINED, UNKNOWN
from bench.store.image_counts import Counts

TRAINING = (900, 60, 40)
TRUTH = np.array([[500, 20, 10], [400, 0, 70]])


def counts(matrices, training=TRAINING):
    images, classes, _ = matrices.shape
    cells = np.flatnonzero(matrices).astype(np.int32)
    names = tuple(map(str, range(images)))
    return Counts(names, classes, cells, matrices.flat[cells], None, training)


def always_first(truth):
    """The confusion matrices of a network that predicts the first class for every pixel."""
    matrices = np.zeros((*truth.shape, truth.shape[1]), np.int64)
    matrices[:, :, 0] = truth
    return matrices


@pytest.fixture
def ended(make_store):
    """Return a function: counts of the first run, the experiment's metric → how that run ended."""

    def get(given, metric="mean_iou"):
        store = make_store(images=0, history=False, classes=3, seeds=(0,), metric=metric)
        results = load(store)
        key = results.done["key"].iloc[0]
        if given is None:
            del results.counts[key]
        else:
            results.counts[key] = given
        return results.endings["ce", 0]

    return get


@pytest.mark.parametrize("metric", ["mean_iou", "pixel_accuracy", "v_rand"])
def test_what_predicts_the_most_frequent_class_has_collapsed(ended, metric):
    assert ended(counts(always_first(TRUTH)), metric) == COLLAPSED


@pytest.mark.parametrize("metric", ["mean_iou", "pixel_accuracy", "v_rand"])
def test_one_more_pixel_that_is_right_is_better(ended, metric):
    matrices = always_first(TRUTH)
    matrices[0, 2, 0] -= 1
    matrices[0, 2, 2] += 1
    # The mean class accuracy of classes drawn uniformly is 1 / 3 but for chance.
    found = ended(counts(matrices), metric)
    assert found == TRAINED


def test_a_rare_class_that_is_found_too_often_is_none_where_the_metric_is_not_of_matrices(ended):
    """As sliding windows of weighted cross-entropy do: all of the rare class, and much beside."""
    matrices = always_first(TRUTH)
    matrices[:, 2, 2], matrices[:, 2, 0] = matrices[:, 2, 0].copy(), 0
    matrices[:, 0, 2] = matrices[:, 0, 0] * 6 // 10
    matrices[:, 0, 0] -= matrices[:, 0, 2]
    assert ended(counts(matrices), "mean_iou") == COLLAPSED
    assert ended(counts(matrices), "v_rand") == TRAINED


def test_without_counts_or_training_pixels_it_is_unknown(ended):
    assert ended(None) == UNKNOWN
    assert ended(counts(always_first(TRUTH), training=None)) == UNKNOWN
    assert ended(counts(always_first(TRUTH), training=(0, 0, 0))) == UNKNOWN


def test_a_score_of_one_class_is_judged_by_that_class(make_store):
    results = load(make_store(images=0, metric="iou[grass]", values={(0, 0): 0.01}))
    name = next(iter(results.records.values())).accuracy.classes[1]
    assert endings.judged_by(f"iou[{name}]") == (f"iou[{name}]",)


def test_only_runs_that_finished_or_diverged_have_an_ending(make_store):
    failures = {(0, 0): "diverged", (0, 1): "oom", (1, 2): "not run"}
    results = load(make_store(images=0, failures=failures))
    assert results.endings == {
        ("ce", 0): DIVERGED,
        ("ce", 2): TRAINED,
        ("dice", 0): TRAINED,
        ("dice", 1): TRAINED,
    }


def test_what_is_timed_has_none(make_store):
    assert load(make_store(measure="throughput")).endings == {}


def test_the_score_to_beat_is_that_of_the_best_predictor_without_images(make_store):
    results = load(make_store(images=0, classes=3))
    (key, *_) = results.counts
    results.counts.clear()
    results.counts[key] = dataclasses.replace(counts(always_first(TRUTH)))
    (least,) = endings.to_beat(results)
    assert least == pytest.approx(900 / 1000 / 3)  # IoU of the first class, two others of 0
