"""Cross-validation against the corrected resampled t-test as its authors write it."""

import numpy as np
import pytest
from scipy import stats

from bench.analysis.stats import blocks, folds
from bench.analysis.stats.anova import anova
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.sample import describe

VALUES = np.random.default_rng(0).normal(1, 1, 10)
VALIDATED, TRAINED = 6, 24


def expected_interval(values):
    """Return mean ± t sqrt((1 / J + n2 / n1) s²)."""
    variance = (1 / len(values) + VALIDATED / TRAINED) * values.var(ddof=1)
    half = stats.t.ppf(0.975, len(values) - 1) * np.sqrt(variance)
    return values.mean() - half, values.mean() + half, variance


def test_a_difference_has_the_variance_of_nadeau_and_bengio():
    plain = blocks.contrast(blocks.fit([np.zeros(10), VALUES]), [-1, 1])
    found = folds.of_contrast(plain, 10, VALIDATED / TRAINED)
    low, high, variance = expected_interval(VALUES)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(2 * stats.t.sf(VALUES.mean() / np.sqrt(variance), 9))


def test_so_has_the_interval_of_a_mean_and_its_spread_stays():
    found = folds.of_mean(describe(VALUES), VALIDATED / TRAINED)
    assert (found.low, found.high) == pytest.approx(expected_interval(VALUES)[:2])
    assert found.sd == VALUES.std(ddof=1)


def test_f_of_two_levels_is_the_square_of_the_corrected_t():
    table = np.random.default_rng(1).normal(size=(2, 8))
    plain = blocks.contrast(blocks.fit(table), [-1, 1])
    (seed, main, residual) = folds.of_anova(anova(table, {"loss": [0, 1]}), 8, 0.25)
    t = folds.of_contrast(plain, 8, 0.25)
    assert (main.f, main.p) == pytest.approx((t.t**2, t.p))
    assert [seed, residual] == [row for row in anova(table, {"loss": [0, 1]}) if not row.factors]


def test_without_overlap_or_without_a_test_nothing_changes():
    plain = blocks.contrast(blocks.fit([np.zeros(10), VALUES]), [-1, 1])
    assert folds.of_contrast(plain, 10, 0.0) is plain
    assert folds.of_mean(describe(VALUES), 0.0) == describe(VALUES)
    untested = Contrast(1.0)
    assert folds.of_contrast(untested, 1, 0.25) is untested
