"""Crossed seeds and images against a hand-computed table, brute force and the paired t-test."""

import itertools

import numpy as np
import pytest
from scipy import stats

from bench.analysis.stats import blocks
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.crossed import crossed, pseudo_values, rarest
from bench.analysis.stats.images import SCORES, totals


def matrices(seed=0, images=7):
    return np.random.default_rng(seed).integers(1, 50, (2, images, 4, 4))


@pytest.mark.parametrize("metric", SCORES)
def test_pseudo_values_are_those_of_leaving_one_image_out(metric):
    found = matrices()
    score, n = SCORES[metric], found.shape[1]

    def scored(some):
        return float(score(*totals(some.sum(0)[None])[:, 0]))

    expected = [
        [n * scored(run) - (n - 1) * scored(np.delete(run, i, 0)) for i in range(n)]
        for run in found
    ]
    assert pseudo_values(totals(found), score) == pytest.approx(np.array(expected))


def test_pseudo_values_of_a_mean_over_images_are_the_images_own():
    """Pixel accuracy of images of one size is the mean over images."""
    found = matrices()
    found[..., 0, 0] += 2000 - found.sum((-1, -2))
    own = np.trace(found, axis1=-2, axis2=-1) / 2000
    assert pseudo_values(totals(found), SCORES["pixel_accuracy"]) == pytest.approx(own)


def test_weighted_iou_and_that_of_a_class_are_their_definitions():
    whole = matrices()[0].sum(0)
    right, truth, predicted = np.diagonal(whole), whole.sum(1), whole.sum(0)
    iou = right / (truth + predicted - right)
    counted = totals(whole[None])[:, 0]
    assert SCORES["frequency_weighted_iou"](*counted) == pytest.approx(
        (truth * iou).sum() / truth.sum()
    )
    assert SCORES["mean_iou"](*counted[..., 2:3]) == pytest.approx(iou[2])


def paired(table):
    """Return the paired t-test of the means over images."""
    values = table.mean(1)
    return blocks.contrast(blocks.fit([np.zeros_like(values), values]), [-1, 1])


def test_a_table_computed_by_hand():
    """Means of rows 3 and 5, of columns 1, 5, 6: MS of seeds 6, images 14, error 2."""
    table = np.array([[1.0, 3.0, 5.0], [1.0, 7.0, 7.0]])
    found = crossed(table, Contrast(4.0, 1.0, 30, 1.96, 6.04, 0.0004))
    assert found.error**2 == pytest.approx(1 + (14 - 2) / 6)
    assert found.df == pytest.approx(3**2 / (1**2 / 30 + (14**2 / 2 + 2**2 / 2) / 6**2))
    assert found.p == pytest.approx(2 * stats.t.sf(4 / np.sqrt(3), found.df))
    half = stats.t.ppf(0.975, found.df) * np.sqrt(3)
    assert (found.low, found.high) == pytest.approx((4 - half, 4 + half))


def test_mean_squares_are_those_of_another_analysis_of_variance():
    """With the paired t-test it is the variance of Obuchowski and Rockette."""
    smf = pytest.importorskip("statsmodels.formula.api")
    pd, sm = pytest.importorskip("pandas"), pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(4)
    table = rng.normal(size=(9, 1)) + rng.normal(size=(1, 12)) + rng.normal(size=(9, 12))
    long = pd.DataFrame(table).melt(ignore_index=False).reset_index(names="seed")
    fitted = sm.stats.anova_lm(smf.ols("value ~ C(seed) + C(variable)", long).fit())
    square = fitted["mean_sq"]
    total = square["C(seed)"] + square["C(variable)"] - square["Residual"]
    found = crossed(table, paired(table))
    assert found.error**2 == pytest.approx(total / 108)
    assert found.df == pytest.approx(total**2 / (square**2 / fitted["df"]).sum())


def test_where_only_images_vary_it_is_the_t_test_over_images():
    values = np.random.default_rng(5).normal(0.3, 1, 12)
    table = np.repeat(values[None], 3, axis=0)
    found, expected = crossed(table, paired(table)), stats.ttest_1samp(values, 0)
    assert (found.df, found.p) == pytest.approx((11, expected.pvalue))
    assert found.low == pytest.approx(expected.confidence_interval().low)


def test_where_only_runs_vary_it_is_what_holds_on_these_images():
    table = np.repeat(np.random.default_rng(5).normal(0.3, 1, (6, 1)), 12, axis=1)
    assert crossed(table, paired(table)) == paired(table)


def test_nothing_is_surer_of_such_images_than_of_these():
    """Also with two seeds, whose one degree of freedom images may hide in many others."""
    rng = np.random.default_rng(6)
    for seeds, _ in itertools.product((2, 4), range(50)):
        table = rng.normal(size=(1, 10)) + rng.normal(size=(seeds, 10))
        these, found = paired(table), crossed(table, paired(table))
        assert found.error >= these.error
        assert found.high - found.low >= these.high - these.low
        assert found.p >= these.p


def test_the_rarest_class_is_the_one_in_fewest_images_of_those_that_count():
    found = matrices()
    found[:, 2:, 1] = 0  # true in two images
    found[:, :, 3], found[..., 3] = 0, 0  # nowhere, so that it counts in no mean
    assert rarest(totals(found)) == (1, 2)
    found[0, 4, 0, 3] = 1  # predicted, and never true
    assert rarest(totals(found)) == (3, 0)
