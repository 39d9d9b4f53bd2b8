"""Differences between conditions against scipy's t-tests and a regression by statsmodels."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS

from bench.analysis.stats.blocks import contrast, fit, seed_means


def regression(table, weights):
    """Return estimate, standard error and df of a contrast by dummy variables."""
    rows, columns = np.nonzero(~np.isnan(table))
    conditions = (rows[:, None] == np.arange(len(table))).astype(float)
    seeds = (columns[:, None] == np.unique(columns)[1:]).astype(float)
    model = OLS(table[rows, columns], np.hstack([conditions, seeds])).fit()
    test = model.t_test(np.concatenate([weights, np.zeros(seeds.shape[1])]))
    return test.effect.item(), test.sd.item(), model.df_resid


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_two_conditions_are_the_paired_t_test(seeds):
    rng = np.random.default_rng(seeds)
    below, above = rng.normal(size=(2, seeds)) + rng.normal(size=seeds)
    found = contrast(fit([below, above]), [-1, 1])
    expected = stats.ttest_rel(above, below)
    assert found.difference == pytest.approx((above - below).mean())
    assert found.t == pytest.approx(expected.statistic)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.df == expected.df
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


@pytest.mark.parametrize("missing", [0, 1, 4])
def test_a_factorial_contrast_is_a_regression_whatever_is_missing(missing):
    rng = np.random.default_rng(missing)
    table = rng.normal(size=(6, 4)) + 2 * rng.normal(size=4)
    table.flat[rng.choice(table.size, missing, replace=False)] = np.nan
    weights = np.array([-1, -1, -1, 1, 1, 1]) / 3
    found = contrast(fit(table), weights)
    assert (found.difference, found.error, found.df) == pytest.approx(regression(table, weights))
    if not missing:
        assert found.df == (6 - 1) * (4 - 1)


def test_seeds_that_only_one_condition_has_say_nothing():
    rng = np.random.default_rng(1)
    table = rng.normal(size=(2, 5))
    complete = contrast(fit(table[:, :3]), [-1, 1])
    table[0, 3] = table[1, 4] = np.nan
    assert vars(contrast(fit(table), [-1, 1])) == pytest.approx(vars(complete))


def test_conditions_without_a_common_seed_are_not_compared():
    nan = math.nan
    assert contrast(fit([[1, 2, nan, nan], [nan, nan, 3, 4]]), [-1, 1]) is None
    # By way of a third condition they are.
    bridge = [[1, 2, nan, nan], [nan, nan, 3, 4], [1, 1, 1, 1]]
    assert contrast(fit(bridge), [-1, 1, 0]).difference == pytest.approx(2)


def test_one_seed_gives_a_difference_and_no_test():
    found = contrast(fit([[0.25], [0.75]]), [-1, 1])
    assert found.difference == 0.5
    assert found.df == 0
    assert all(map(math.isnan, (found.error, found.low, found.high, found.p)))


def test_a_condition_without_values_is_misuse():
    with pytest.raises(ValueError, match="no mean"):
        fit([[1.0], [math.nan]])


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e6])
def test_what_never_varies_is_tested_without_warnings(offset):
    same = np.full((4, 3), offset + 0.7) + np.array([0.1, 0.2, 0.3])  # seeds differ, nothing else
    found = contrast(fit(same), [-0.5, -0.5, 0.5, 0.5])
    assert (found.difference, found.error, found.p) == (0, 0, 1)
    same[2:] += 0.25
    found = contrast(fit(same), [-0.5, -0.5, 0.5, 0.5])
    assert found.difference == pytest.approx(0.25)
    assert (found.error, found.p, found.t) == (0, 0, math.inf)


def test_the_correlation_is_that_of_the_paired_values():
    rng = np.random.default_rng(2)
    table = rng.normal(size=(2, 7)) + rng.normal(size=7)
    table = (table - table.mean(1, keepdims=True)) / table.std(1, ddof=1, keepdims=True)
    assert fit(table).correlation == pytest.approx(np.corrcoef(table)[0, 1])
    many = np.random.default_rng(3).normal(size=(40, 500))
    shared = many + np.random.default_rng(4).normal(size=500)
    assert fit(many).correlation == pytest.approx(0, abs=0.01)
    assert fit(shared).correlation == pytest.approx(0.5, abs=0.05)
    assert math.isnan(fit([[1.0], [2.0]]).correlation)


def test_means_over_conditions_by_seed():
    table = np.random.default_rng(6).normal(size=(4, 3))
    assert seed_means(table) == pytest.approx(table.mean(0))
    # Without errors, what is missing is known; a seed without any value is left out.
    additive = np.add.outer([1.0, 2.0, 4.0], [0.0, 0.5, 0.1, 9.0])
    with_gaps = additive.copy()
    with_gaps[0, 1] = with_gaps[2, 0] = np.nan
    with_gaps[:, 3] = np.nan
    assert seed_means(with_gaps) == pytest.approx(additive.mean(0)[:3])


def test_seeds_that_nothing_connects_count_only_if_complete():
    nan = math.nan
    assert seed_means([[1, nan], [nan, 2]]).size == 0
    assert seed_means([[1, 5, nan, nan], [nan, nan, 2, 3]]).size == 0
    assert seed_means([[1.0, 3.0]]).tolist() == [1, 3]
