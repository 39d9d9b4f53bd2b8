"""What a design can see, against the noncentral t distribution."""

import math

import pytest
from scipy import stats

from bench.analysis.stats.power import critical_value, detectable, power


@pytest.mark.parametrize("df", [1, 2, 4, 14, 300])
@pytest.mark.parametrize("effect", [0.0, 1.0, 4.0])
def test_power_is_that_of_the_noncentral_t(df, effect):
    critical = stats.t.ppf(0.975, df)
    expected = stats.nct.sf(critical, df, effect) + stats.nct.cdf(-critical, df, effect)
    assert power(effect, critical, df) == pytest.approx(expected, abs=1e-6)


# (seeds, comparisons) → smallest paired difference seen, in sd of the differences.
@pytest.mark.parametrize(
    ("seeds", "comparisons", "expected"),
    [(3, 1, 3.26), (3, 3, 5.67), (5, 1, 1.68), (5, 3, 2.29)],
)
def test_known_designs(seeds, comparisons, expected):
    df = seeds - 1
    found = detectable(critical_value("holm", comparisons, df), df) / math.sqrt(seeds)
    assert found == pytest.approx(expected, abs=0.005)


def test_a_full_two_by_two_by_two_with_three_seeds():
    df = (8 - 1) * (3 - 1)
    error = math.sqrt(2 / (4 * 3))  # of a main effect, in sd of a run
    assert detectable(critical_value("holm", 1, df), df) * error == pytest.approx(1.23, abs=0.005)


@pytest.mark.parametrize("method", ["holm", "dunnett"])
def test_what_is_detectable_is_detected_with_80_percent_power(method):
    critical = critical_value(method, 4, 8)
    assert power(detectable(critical, 8), critical, 8) == pytest.approx(0.8)


def test_dunnett_asks_less_than_holm_and_one_comparison_the_same():
    assert critical_value("dunnett", 4, 8) < critical_value("holm", 4, 8)
    assert critical_value("dunnett", 1, 8) == pytest.approx(critical_value("holm", 1, 8))
