"""The simulation of tuned arms, in small: bounds are as wide as chance with so few repetitions."""

import numpy as np

from tests.simulations.tuning import tuned_alike, tuned_alone

REPETITIONS = 400


def test_an_arm_tuned_alone_is_called_better_too_often_and_arms_tuned_alike_are_not():
    rng = np.random.default_rng(0)
    alone = tuned_alone(20, REPETITIONS, rng)
    alike = tuned_alike(20, REPETITIONS, rng)
    assert alone > 0.08
    assert alike <= 0.025 + 3 * (0.025 * 0.975 / REPETITIONS) ** 0.5
