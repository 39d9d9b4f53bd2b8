"""The simulation of cross-validation at a small size; tests/simulations/folds.py is the large one."""

import numpy as np

from tests.simulations import folds


def test_folds_dealt_out_again_seldom_show_what_is_not_there():
    old, ours = folds.false_verdicts(60, 5, 10, 100, np.random.default_rng(1))
    assert old > 0.1
    assert ours <= 0.05 + 0.065  # three standard errors
