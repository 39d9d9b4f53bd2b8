"""The bootstrap over images against a slow one, and scores against their definition."""

import numpy as np
import pytest

from bench.analysis.stats.images import SCORES, draws, interval, scores, totals


@pytest.fixture
def matrices():
    """Confusion matrices of 2 networks on 7 images with 4 classes, one of which occurs once."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 50, (2, 7, 4, 4))
    found[:, 1:, 3], found[:, 1:, :, 3] = 0, 0
    found[1] = found[0]
    found[1, :, 0, 0] += 5
    found[1, :, 0, 1] = found[0, :, 0].sum(1) - found[1, :, 0, [0, 2, 3]].sum(0)
    return found


def slow(metric, matrix):
    with np.errstate(invalid="ignore"):
        right, truth, predicted = np.diagonal(matrix), matrix.sum(1), matrix.sum(0)
        return {
            "mean_iou": np.nanmean(right / (truth + predicted - right)),
            "dice": np.nanmean(2 * right / (truth + predicted)),
            "frequency_weighted_iou": np.nansum(truth * right / (truth + predicted - right))
            / matrix.sum(),
            "pixel_accuracy": right.sum() / matrix.sum(),
            "mean_class_accuracy": np.nanmean(right / truth),
        }[metric]


def counted(matrices):
    return np.array([totals(each) for each in matrices])


@pytest.mark.parametrize("metric", SCORES)
def test_every_score_over_every_draw_is_the_slow_one(matrices, metric):
    drawn = draws(7, np.random.default_rng(1), count=40)
    expected = [
        np.mean([slow(metric, np.tensordot(counts, each, 1)) for each in matrices])
        for counts in drawn
    ]
    found = scores(counted(matrices), drawn, SCORES[metric])
    assert found == pytest.approx(np.array(expected))
    assert interval(found) == pytest.approx(tuple(np.quantile(expected, [0.025, 0.975])))


def test_a_draw_is_as_large_as_the_data_set_and_the_same_each_time():
    drawn = draws(9, np.random.default_rng(2))
    assert (drawn.sum(1) == 9).all()
    assert drawn.mean(0) == pytest.approx(np.ones(9), abs=0.15)
    assert (drawn == draws(9, np.random.default_rng(2))).all()


def test_equal_images_leave_nothing_to_chance(matrices):
    same = np.repeat(matrices[:, :1], 5, axis=1)
    drawn = draws(5, np.random.default_rng(3))
    low, high = interval(scores(counted(same), drawn, SCORES["mean_iou"]))
    assert low == pytest.approx(high)
    assert low == pytest.approx(np.mean([slow("mean_iou", each) for each in same[:, 0]]))
