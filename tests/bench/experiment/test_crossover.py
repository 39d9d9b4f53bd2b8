"""Orders of measuring are balanced: counted by hand over whole squares."""

import itertools
from collections import Counter

import numpy as np
import pytest

from bench.experiment.crossover import rounds, williams


@pytest.mark.parametrize("count", range(1, 12))
def test_every_arm_follows_every_other_equally_often(count):
    square = williams(count)
    times = 1 if count % 2 == 0 else 2
    assert len(square) == times * count
    following = Counter(pair for row in square for pair in itertools.pairwise(row))
    assert following == dict.fromkeys(itertools.permutations(range(count), 2), times)
    places = Counter((place, arm) for row in square for place, arm in enumerate(row))
    assert places == dict.fromkeys(itertools.product(range(count), repeat=2), times)


def test_four_arms_are_the_square_of_the_textbooks():
    assert williams(4) == [(0, 1, 3, 2), (1, 2, 0, 3), (2, 3, 1, 0), (3, 0, 2, 1)]


@pytest.mark.parametrize("count", [1, 4, 5])
def test_rounds_use_every_row_once_before_any_again(count):
    size = len(williams(count))
    drawn = list(itertools.islice(rounds(count, np.random.default_rng(3)), 2 * size))
    assert drawn[:size] == drawn[size:]
    following = Counter(pair for row in drawn[:size] for pair in itertools.pairwise(row))
    assert len(set(following.values())) == min(1, len(following))
    assert all(sorted(row) == list(range(count)) for row in drawn)


def test_which_arm_comes_first_is_drawn():
    first = {next(rounds(4, np.random.default_rng(seed)))[0] for seed in range(40)}
    assert first == {0, 1, 2, 3}
