"""E-values against quadrature of the Bayes factor, and how often they exceed 1 / α."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from bench.analysis.stats import e_process

CASES = [(0.0, 2, 1.5), (2.5, 2, 1.5), (4.0, 4, 2.5), (3.0, 12, 5.0), (-3.0, 12, 5.0)]


@pytest.mark.parametrize(("t", "df", "information"), CASES)
def test_an_e_value_is_the_ratio_of_the_densities_of_t(t, df, information):
    prior = 1.7

    def weighed(effect):
        return stats.nct.pdf(t, df, effect * math.sqrt(information)) * stats.norm.pdf(
            effect, scale=prior
        )

    above, _ = integrate.quad(weighed, -10 * prior, 10 * prior, limit=200)
    found = math.exp(e_process.log_e(t, df, information, prior))
    assert found == pytest.approx(above / stats.t.pdf(t, df), rel=1e-6)


@pytest.mark.parametrize(("t", "df", "information"), CASES)
def test_the_critical_value_is_where_e_reaches_one_over_alpha(t, df, information):
    critical = e_process.critical_value(df, information, 0.05)
    if math.isinf(critical):
        assert e_process.p_value(math.inf, df, information) > 0.05
    else:
        assert e_process.p_value(critical, df, information) == pytest.approx(0.05)
        assert (e_process.p_value(t, df, information) <= 0.05) == (abs(t) >= critical)


def test_an_infinite_t_is_the_limit_of_large_ones():
    limit = e_process.log_e(1e9, 6, 4.0)
    assert e_process.log_e(math.inf, 6, 4.0) == pytest.approx(limit)
    assert e_process.log_e(math.inf, 0, 4.0) == 0.0


def test_equivalence_holds_where_the_confidence_sequence_lies_within_delta():
    half = e_process.critical_value(9, 5.0, 0.05) * 0.2
    assert e_process.equivalence(0.1, 0.2, 9, 5.0, 0.1 + 1.001 * half) < 0.05
    assert e_process.equivalence(-0.1, 0.2, 9, 5.0, 0.1 + 0.999 * half) > 0.05
    assert e_process.equivalence(0.3, 0.0, 9, 5.0, 0.2) == 1.0


def test_hardly_any_series_without_a_difference_ever_reaches_one_over_alpha():
    count, seeds = 20_000, 50
    values = np.random.Generator(np.random.Philox(3)).standard_normal((count, seeds))
    reached, fixed = np.zeros(count, bool), np.zeros(count, bool)
    for n in range(3, seeds + 1):
        part = values[:, :n]
        t = np.abs(part.mean(1)) * math.sqrt(n) / part.std(1, ddof=1)
        reached |= t >= e_process.critical_value(n - 1, n / 2)
        fixed |= t >= stats.t.isf(0.025, n - 1)
    assert 0.005 < reached.mean() < 0.05  # Ville's bound
    assert fixed.mean() > 0.25  # what looking with a test for one look comes to
