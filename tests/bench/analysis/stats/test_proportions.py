"""Exact bounds and tests of shares, against scipy, statsmodels and counting every possibility."""

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from bench.analysis.stats.proportions import clopper_pearson, exact_test


@pytest.mark.parametrize(
    ("happened", "runs"), [(0, 1), (0, 5), (3, 5), (5, 5), (1, 10), (37, 200), (0, 2000)]
)
def test_bounds_are_clopper_pearsons(happened, runs):
    found = clopper_pearson(happened, runs)
    assert found == pytest.approx(proportion_confint(happened, runs, method="beta"), abs=1e-12)
    expected = stats.binomtest(happened, runs).proportion_ci(method="exact")
    assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_bounds_of_the_examples_in_the_documents():
    assert clopper_pearson(3, 5) == pytest.approx((0.147, 0.947), abs=5e-4)
    assert clopper_pearson(0, 5) == pytest.approx((0.0, 0.522), abs=5e-4)


def test_without_a_run_nothing_is_known():
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("runs", [1, 3, 5, 8])
@pytest.mark.parametrize("others", [2, 5, 9])
def test_of_one_stratum_it_is_fishers_test(runs, others):
    for first, second in itertools.product(range(runs + 1), range(others + 1)):
        table = [[first, runs - first], [second, others - second]]
        expected = stats.fisher_exact(table).pvalue
        assert exact_test([((first, runs), (second, others))]) == pytest.approx(expected, abs=1e-9)


def by_counting(strata):
    """Deal every run of each stratum to the groups in every possible way."""
    ways = []
    for (first, runs), (second, others) in strata:
        happened = [1] * (first + second) + [0] * (runs + others - first - second)
        places = itertools.combinations(range(runs + others), runs)
        ways.append([sum(happened[i] for i in chosen) for chosen in places])
    totals = np.array([sum(way) for way in itertools.product(*ways)])
    values, counts = np.unique(totals, return_counts=True)
    seen = counts[values == sum(first for (first, _), _ in strata)]
    return counts[counts <= seen].sum() / len(totals)


@pytest.mark.parametrize(
    "strata",
    [
        [((3, 3), (0, 3)), ((1, 3), (0, 3))],
        [((2, 3), (1, 3)), ((0, 2), (1, 3)), ((1, 2), (1, 2))],
        [((0, 3), (0, 3)), ((2, 4), (0, 4))],
    ],
)
def test_of_several_strata_it_is_what_counting_gives(strata):
    assert exact_test(strata) == pytest.approx(by_counting(strata))


def test_where_nothing_happened_nothing_differs():
    assert exact_test([((0, 5), (0, 5))]) == exact_test([]) == 1
