"""Corrections for many comparisons against statsmodels, scipy and Dunnett's own table."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import ndtr
from statsmodels.stats.multitest import multipletests

from bench.analysis.stats.families import (
    dunnett,
    dunnett_critical,
    error_scale,
    holm,
    step_down_dunnett,
)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_holm_is_that_of_statsmodels(count):
    p = np.random.default_rng(count).uniform(0, 0.2, count)
    assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1])


def test_holm_by_hand():
    # 4 × 0.01, 3 × 0.02, 2 × 0.03 falls below it and is raised, 1 × 0.5.
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])


def test_what_could_not_be_tested_does_not_count():
    found = holm([0.01, math.nan, 0.04])
    assert found[0] == 0.02
    assert found[2] == 0.04
    assert math.isnan(found[1])
    assert holm([]) == []


# Dunnett (1964), table II: two-sided 5 % points for comparisons with a control.
TABLE = {
    (2, 5): 3.03, (3, 5): 3.29, (2, 10): 2.57, (3, 10): 2.76, (4, 10): 2.89,
    (2, 20): 2.38, (3, 20): 2.54, (4, 20): 2.65, (9, 20): 2.95, (2, 60): 2.27,
}  # fmt: skip


@pytest.mark.parametrize(("comparisons", "df"), TABLE)
def test_critical_values_are_those_of_the_table(comparisons, df):
    assert dunnett_critical(comparisons, df) == pytest.approx(TABLE[comparisons, df], abs=0.0051)


@pytest.mark.parametrize("arms", [2, 4, 7])
def test_p_values_are_those_of_scipy(arms):
    rng = np.random.default_rng(arms)
    samples = rng.normal(size=(arms + 1, 5)) + np.arange(arms + 1)[:, None] / 2
    expected = stats.dunnett(*samples[1:], control=samples[0], random_state=0)
    df = samples.size - len(samples)
    found = [dunnett(t, arms, df) for t in expected.statistic]
    assert found == pytest.approx(expected.pvalue, abs=2e-3)


@pytest.mark.parametrize(("comparisons", "df"), [(2, 2), (4, 8), (6, 12), (30, 90)])
def test_p_at_the_critical_value_is_alpha(comparisons, df):
    for alpha in (0.05, 0.01):
        critical = dunnett_critical(comparisons, df, alpha)
        assert dunnett(critical, comparisons, df) == pytest.approx(alpha, abs=1e-6)
        assert dunnett(-critical, comparisons, df) == pytest.approx(alpha, abs=1e-6)


@pytest.mark.parametrize("arms", [1, 3, 5])
def test_steps_are_those_of_closed_testing(arms):
    """A comparison is rejected if every family that holds it is, by the largest |t| in each."""
    t = np.random.default_rng(arms).normal(0, 2.5, arms)

    def of_all(family):
        return dunnett(max(abs(t[i]) for i in family), len(family), 12)

    families = [f for n in range(1, arms + 1) for f in itertools.combinations(range(arms), n)]
    expected = [max(of_all(f) for f in families if i in f) for i in range(arms)]
    assert step_down_dunnett(t.tolist(), 12) == pytest.approx(expected, abs=1e-9)


def test_the_first_step_is_that_of_scipy_and_the_last_students():
    samples = np.random.default_rng(2).normal(size=(4, 5)) + np.array([[0], [0.4], [1], [2]])
    expected = stats.dunnett(*samples[1:], control=samples[0], random_state=0)
    found = step_down_dunnett(expected.statistic.tolist(), 16)
    order = np.argsort(-np.abs(expected.statistic))
    assert found[order[0]] == pytest.approx(expected.pvalue[order[0]], abs=2e-3)
    alone = 2 * stats.t.sf(abs(expected.statistic[order[2]]), 16)
    assert found[order[2]] == pytest.approx(max(alone, found[order[1]]))


def test_one_comparison_is_students_test():
    assert dunnett(2.5, 1, 7) == pytest.approx(2 * stats.t.sf(2.5, 7), abs=1e-9)
    assert dunnett_critical(1, 7) == pytest.approx(stats.t.ppf(0.975, 7))


def test_extremes():
    assert dunnett(math.inf, 3, 4) == 0
    assert dunnett(0.0, 3, 4) == 1
    ps = [dunnett(t, 4, 8) for t in np.linspace(0, 20, 50)]
    assert ps == sorted(ps, reverse=True)


@pytest.mark.parametrize("df", [1, 2, 14, 2000])
def test_the_scale_of_the_error_has_its_moments(df):
    scale, weights = error_scale(df)
    assert weights.sum() == pytest.approx(1)
    assert weights @ scale**2 == pytest.approx(1)
    assert weights @ scale == pytest.approx(stats.chi.mean(df) / math.sqrt(df))


def quadrature(t, comparisons, df):
    """P of Dunnett's test by adaptive quadrature, with scipy's chi distribution."""

    def inside(scale):
        bound = math.sqrt(2) * t * scale

        def given(control):
            return (
                math.exp(-(control**2) / 2)
                / math.sqrt(2 * math.pi)
                * (ndtr(bound - control) - ndtr(-bound - control)) ** (comparisons)
            )

        return (
            2 * integrate.quad(given, 0, 10, epsabs=1e-13, points=[min(bound, 9.9)], limit=400)[0]
        )

    def weighted(scale):
        return inside(scale) * stats.chi.pdf(scale * math.sqrt(df), df) * math.sqrt(df)

    end = 1 + 10 / math.sqrt(df)
    return 1 - integrate.quad(weighted, 0, end, epsabs=1e-12, points=[1.0], limit=400)[0]


@pytest.mark.parametrize(
    ("comparisons", "df", "error"),
    [(1, 1, 1e-9), (2, 2, 1e-12), (4, 8, 1e-12), (10, 20, 1e-12), (30, 90, 1e-12)],
)
def test_the_error_of_the_integration_is_within_its_bound(comparisons, df, error):
    for t in (0.5, dunnett_critical(comparisons, df)):
        expected = quadrature(t, comparisons, df)
        assert dunnett(t, comparisons, df) == pytest.approx(expected, abs=error)
