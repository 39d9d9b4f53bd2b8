"""The simulation of planning at a small size; tests/simulations/planning.py is the large one."""

import math

import numpy as np

from tests.simulations import planning
from tests.simulations.rows import PAIR, Truth

FEW = 40


def test_numbers_for_a_declared_difference_decide_and_those_for_the_observed_one_do_not():
    generator = np.random.default_rng(3)
    truth = Truth(PAIR, effect={"dice": 1.0}, delta=1.0)
    found = planning.our_way(truth, planning.paired(1.0, generator), FEW, generator)
    least = 0.8 - 3 * math.sqrt(0.8 * 0.2 / found.printed)
    assert min(found.better, found.equivalent) / found.printed > least
    printed, decided = planning.old_way(0.5, 400, generator)
    assert decided / printed < 0.5


def test_differences_of_few_seeds_are_as_much_too_large_as_is_said():
    found = planning.found_by(5, 1.0, 300, np.random.default_rng(4))
    assert found.marked.mean() > 0.8
    assert abs(found.times - found.said) < 3 * found.size.std() / math.sqrt(len(found.size))
    assert found.times > 1.3
