"""The probability that a run is higher, against counting, scipy, statsmodels and exact moments."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.nonparametric import rank_compare_2indep

from bench.analysis.stats.superiority import interval, superiority, variance


def test_superiority_counts_pairs():
    first, second = [3, 1, 2], [2, 0, 2, 5]
    pairs = itertools.product(first, second)
    expected = np.mean([(a > b) + (a == b) / 2 for a, b in pairs])
    assert superiority(first, second) == pytest.approx(expected)
    u = stats.mannwhitneyu(first, second).statistic
    assert superiority(first, second) == pytest.approx(u / 12)
    assert superiority([1.0, math.nan], [0.0]) == 1
    assert math.isnan(superiority([], [1.0]))


@pytest.mark.parametrize("rate", [1.0, 4.0])
def test_the_variance_is_that_of_exponential_scores(rate):
    # With equal sizes, the formula is exact for them: P(a > b) = rate / (1 + rate).
    rng = np.random.default_rng(1)
    first, second = rng.exponential(rate, (40_000, 4, 1)), rng.exponential(1.0, (40_000, 1, 4))
    found = (first > second).mean((1, 2))
    p = rate / (1 + rate)
    assert found.mean() == pytest.approx(p, abs=0.005)
    assert found.var() == pytest.approx(variance(p, [(4, 4)]), rel=0.03)
    both = (found[::2] + found[1::2]) / 2
    assert both.var() == pytest.approx(variance(p, [(4, 4), (4, 4)]), rel=0.04)


@pytest.mark.parametrize("sizes", [[(3, 3)], [(8, 5)], [(3, 3), (3, 2)]])
@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.875, 1.0])
def test_ends_are_the_roots_of_the_score_equation(sizes, p):
    critical = stats.t.ppf(0.975, sum(m + n - 2 for m, n in sizes))

    def distance(value):  # Hanley and McNeil's Q1 and Q2, written out
        q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
        each = [
            (value * (1 - value) + ((m + n) / 2 - 1) * (q1 + q2 - 2 * value**2)) / (m * n)
            for m, n in sizes
        ]
        return (value - p) ** 2 - critical**2 * sum(each) / len(sizes) ** 2

    low, high = interval(p, sizes)
    expected = [
        p if inside == end else optimize.brentq(distance, inside, end)
        for inside, end in ((p - 1e-9 * (p > 0), 1e-9 * (p > 0)), (p + 1e-9 * (p < 1), 1 - 1e-9))
    ]
    assert (low, high) == pytest.approx((expected[0], 1.0 if p == 1 else expected[1]), abs=1e-6)
    assert interval(1 - p, sizes) == pytest.approx((1 - high, 1 - low))


def test_many_runs_give_the_interval_of_another_method():
    rng = np.random.default_rng(2)
    first, second = rng.normal(0.7, 1, 400), rng.normal(0, 1, 400)
    expected = rank_compare_2indep(first, second).conf_int()  # Brunner and Munzel (2000)
    found = interval(superiority(first, second), [(400, 400)])
    assert found == pytest.approx(expected, abs=0.005)


def test_three_runs_of_each_arm_that_do_not_overlap_say_little():
    low, high = interval(1.0, [(3, 3)])
    assert low < 0.5
    assert high == 1
    assert all(map(math.isnan, interval(1.0, [(1, 1)])))
    assert all(map(math.isnan, interval(math.nan, [(3, 3)])))
