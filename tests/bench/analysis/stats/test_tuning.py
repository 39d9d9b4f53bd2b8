"""The best score of fewer settings, against every choice of them."""

import itertools

import numpy as np
import pytest

from bench.analysis.stats.tuning import best, expected_best


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_it_is_the_mean_over_every_choice(higher_is_better):
    scores = np.random.default_rng(0).random(7)
    best = max if higher_is_better else min
    expected = [
        np.mean([best(chosen) for chosen in itertools.combinations(scores, n)]) for n in range(1, 8)
    ]
    found = expected_best(scores, worst=0.0, higher_is_better=higher_is_better)
    assert found == pytest.approx(expected)


def test_it_does_not_depend_on_how_many_were_tried():
    """Of settings drawn from a uniform distribution, n have a best one of n / (n + 1)."""
    rng = np.random.default_rng(1)
    for tried in (3, 10):
        found = np.mean([expected_best(rng.random(tried), worst=0.0) for _ in range(4000)], 0)
        assert found[:3] == pytest.approx([1 / 2, 2 / 3, 3 / 4], abs=0.02)


def test_a_run_that_diverged_is_the_worst():
    # Of three choices of two settings, two have the better one in them.
    assert expected_best([0.6, np.nan, 0.3], worst=0.0) == pytest.approx([0.3, 0.5, 0.6])
    found = expected_best([0.6, np.nan, 0.3], worst=1.0, higher_is_better=False)
    assert found == pytest.approx([1.9 / 3, 0.4, 0.3])


def test_one_setting_is_its_own_best_and_none_has_none():
    assert expected_best([0.4], worst=0.0).tolist() == [0.4]
    assert expected_best([], worst=0.0).tolist() == []


def test_the_best_setting_has_the_best_mean_and_one_that_diverged_once_loses():
    scores = [[0.5, 0.5], [0.9, np.nan], [0.6, 0.5], [0.3, 0.8]]
    assert best(scores, worst=0.0) == 2  # as good as the last one, and before it
    assert best(scores, worst=1.0, higher_is_better=False) == 0
    assert best([[np.nan], [np.nan]], worst=0.0) == 0
