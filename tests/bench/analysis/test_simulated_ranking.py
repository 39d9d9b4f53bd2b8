"""The simulation of ranks at a small size; tests/simulations/ranking.py is the large one."""

import dataclasses

import numpy as np
import pytest

from tests.simulations import ranking

FEW = 80
MARGIN = 0.10  # three standard errors of a share of 10 % in so many experiments


@pytest.mark.parametrize("name", ["two arms", "two arms, runs of one vary 3 times as much"])
def test_resampled_seeds_call_an_arm_the_best_where_none_is(name):
    truth = dataclasses.replace(ranking.ALIKE[name], seeds=3)
    old, ours = ranking.called(truth, FEW, np.random.default_rng(4))
    assert ours <= 0.10 + MARGIN < old
