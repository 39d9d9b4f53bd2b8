"""Summaries of one sample against scipy."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.analysis.stats.sample import bartlett, describe, t_quantile


@pytest.mark.parametrize("n", [2, 3, 10])
def test_mean_sd_and_interval_are_those_of_scipy(n):
    values = np.random.default_rng(n).normal(5, 2, n)
    found = describe(values)
    assert (found.n, found.df) == (n, n - 1)
    assert found.mean == pytest.approx(values.mean())
    assert found.sd == pytest.approx(stats.tstd(values))
    interval = stats.t.interval(0.95, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert (found.low, found.high) == pytest.approx(interval)


def test_what_is_missing_is_no_value():
    assert describe([1.0, math.nan, 3.0]) == describe([1.0, 3.0])


def test_one_value_has_a_mean_and_nothing_else():
    found = describe([0.5])
    assert (found.n, found.mean, found.df) == (1, 0.5, 0)
    assert all(map(math.isnan, (found.sd, found.low, found.high)))
    assert math.isnan(describe([]).mean)


def test_equal_values_have_no_spread():
    found = describe([0.5, 0.5, 0.5])
    assert (found.sd, found.low, found.high) == (0, 0.5, 0.5)


@pytest.mark.parametrize("df", [1, 2, 7, 1000, 3.5])
def test_quantiles_of_t(df):
    assert t_quantile(df) == pytest.approx(stats.t.ppf(0.975, df))
    assert t_quantile(df, 0.01) == pytest.approx(stats.t.ppf(0.995, df))


def test_unequal_spreads_are_found_as_scipy_finds_them():
    rng = np.random.default_rng(1)
    samples = [rng.normal(0, sd, n) for sd, n in ((1, 4), (3, 3), (9, 6))]
    expected = stats.bartlett(*samples).pvalue
    assert bartlett(map(describe, samples)) == pytest.approx(expected)
    assert bartlett([describe([1.0, 1.0]), describe([1.0, 2.0])]) == 0
    assert bartlett([describe([1.0, 1.0]), describe([2.0, 2.0])]) == 1
    assert math.isnan(bartlett([describe([1.0, 2.0]), describe([1.0])]))
