"""Ranks of means against integrals, counting one draw at a time, and quantiles by numpy."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

from bench.analysis.stats.ranks import draws_of_means, middle, rank_shares


@pytest.fixture
def generator():
    return np.random.default_rng(7)


def test_of_two_arms_the_share_is_that_of_behrens_and_fisher(generator):
    first, second = [0.2, 0.5, 0.6, 0.9], [0.3, 0.35, 0.41]
    drawn = draws_of_means([first, second], generator, count=100_000)
    one, other = (
        stats.t(len(each) - 1, np.mean(each), stats.sem(each)) for each in (first, second)
    )
    expected, _ = integrate.quad(lambda x: one.pdf(x) * other.cdf(x), -np.inf, np.inf)
    assert 0.6 < expected < 0.95
    assert rank_shares(drawn, generator)[0, 0] == pytest.approx(expected, abs=0.005)


def test_against_a_known_value_the_share_is_one_minus_half_of_p(generator):
    scores = [0.1, 0.4, 0.3, 0.6, 0.2]
    drawn = draws_of_means([scores, [0.2, 0.2]], generator, count=100_000)
    p = stats.ttest_1samp(scores, 0.2).pvalue
    assert (drawn[:, 1] == 0.2).all()
    assert rank_shares(drawn, generator)[0, 0] == pytest.approx(1 - p / 2, abs=0.005)


def test_shares_count_ranks(generator):
    drawn = generator.normal([0.0, 0.5, 1.0, 1.2], 1.0, (500, 4))
    expected = np.zeros((4, 4))
    for row in drawn:
        for rank, arm in enumerate(sorted(range(4), key=lambda arm: -row[arm])):
            expected[arm, rank] += 1 / len(drawn)
    assert rank_shares(drawn, generator) == pytest.approx(expected)
    lowest = rank_shares(drawn, generator, higher_is_better=False)
    assert lowest == pytest.approx(expected[:, ::-1])


def test_equal_arms_share_their_ranks(generator):
    drawn = np.tile([0.3, 0.9, 0.3, 0.3], (20_000, 1))
    third = [0, 1 / 3, 1 / 3, 1 / 3]
    expected = [third, [1, 0, 0, 0], third, third]
    assert rank_shares(drawn, generator) == pytest.approx(np.array(expected), abs=0.02)


@pytest.mark.parametrize("counts", [(100, 0, 0), (2, 96, 2), (3, 94, 3), (30, 30, 40), (0, 5, 95)])
def test_the_middle_are_quantiles(counts):
    ranks = list(itertools.chain(*([rank] * n for rank, n in enumerate(counts, 1))))
    low = np.quantile(ranks, 0.025, method="inverted_cdf")
    high = np.quantile(ranks, 0.975, method="inverted_cdf")
    assert middle(np.array(counts) / 100, 0.05) == (low, high)
