"""The simulation of P(higher) at a small size; tests/simulations/superiority.py is the large one."""

import dataclasses

import numpy as np
import pytest

from tests.simulations import superiority

FEW = 150
MARGIN = 0.06  # three standard errors of a share of 5 % in so many experiments


@pytest.mark.parametrize(
    "name", ["arms 1 sd apart", "runs of a seed correlate by 0.5", "the same, losses 1 sd apart"]
)
def test_the_interval_covers(name):
    truth = dataclasses.replace(superiority.HELD[name], seeds=4)
    _, ours = superiority.covered(truth, FEW, np.random.default_rng(2))
    assert ours >= 0.95 - MARGIN


def test_the_published_interval_is_too_short_with_three_seeds():
    normal, ours = superiority.covered(superiority.PLAIN, FEW, np.random.default_rng(2))
    assert normal < 0.94 < ours
