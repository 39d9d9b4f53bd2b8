"""Differences of independent samples against scipy and a simulation by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.analysis.stats.unpaired import contrast


@pytest.mark.parametrize(("first", "second"), [(3, 3), (2, 9), (12, 5)])
def test_two_samples_are_welchs_test_with_whole_degrees_of_freedom(first, second):
    rng = np.random.default_rng(first)
    a, b = rng.normal(0, 1, first), rng.normal(1, 4, second)
    expected = stats.ttest_ind(b, a, equal_var=False)
    found = contrast([a, b], [-1, 1])
    assert found.t == pytest.approx(expected.statistic)
    assert found.df == math.floor(expected.df)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(found.t), found.df))
    assert found.p >= expected.pvalue
    half = stats.t.ppf(0.975, found.df) * found.error
    assert (found.low, found.high) == pytest.approx(
        (b.mean() - a.mean() - half, b.mean() - a.mean() + half)
    )


def test_a_sample_that_never_varies_takes_no_degrees_of_freedom():
    sample = np.array([1.0, 2.0, 4.0])
    found = contrast([np.full(5, 3.0), sample], [-1, 1])
    alone = stats.ttest_1samp(sample, 3.0)
    assert (found.t, found.df, found.p) == pytest.approx((alone.statistic, 2, alone.pvalue))


def test_means_over_settings_have_the_error_of_all_samples():
    rng = np.random.default_rng(0)
    samples = [rng.normal(0, sd, 4) for sd in (1, 2, 3, 4)]
    found = contrast(samples, [-0.5, -0.5, 0.5, 0.5])
    parts = np.array([sample.var(ddof=1) / 4 / 4 for sample in samples])
    assert found.error == pytest.approx(math.sqrt(parts.sum()))
    assert found.df == int(parts.sum() ** 2 / (parts**2 / 3).sum())
    means = [sample.mean() for sample in samples]
    assert found.difference == pytest.approx((means[2] + means[3] - means[0] - means[1]) / 2)


def test_one_value_has_no_error_and_equal_values_none():
    assert math.isnan(contrast([np.array([1.0]), np.array([2.0, 3.0])], [-1, 1]).p)
    constant = contrast([np.full(3, 1.0), np.full(3, 2.0)], [-1, 1])
    assert (constant.difference, constant.error, constant.df, constant.p) == (1, 0, 4, 0)
