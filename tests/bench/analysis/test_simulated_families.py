"""The simulation of families at a small size; tests/simulations/families.py is the large one."""

import dataclasses

import numpy as np
import pytest

from tests.simulations import families

FEW = 150
MARGIN = 0.06  # three standard errors of a share of 5 % in so many experiments


@pytest.mark.parametrize("name", families.NULL)
def test_verdicts_on_eight_seeds_hold_however_runs_vary(name):
    truth = dataclasses.replace(families.NULL[name], seeds=8)
    counts = families.of_reports(truth, FEW, np.random.default_rng(3))
    assert counts["report"] / FEW <= 0.05 + MARGIN
    assert counts["agree"] == FEW


def test_one_error_for_all_arms_errs_where_the_baseline_is_noisy():
    truth = families.NULL["runs of the baseline vary 3 times as much"]
    counts = families.of_reports(truth, FEW, np.random.default_rng(3))
    assert counts["one error"] / FEW > 0.05
