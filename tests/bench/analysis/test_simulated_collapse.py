"""The simulation of collapse at a small size; tests/simulations/collapse.py is the large one."""

import numpy as np
import pytest

from tests.simulations import collapse

FEW = 200
MARGIN = 3 * np.sqrt(0.05 * 0.95 / FEW)


def test_collapsed_runs_hide_a_difference_that_those_that_trained_show():
    found = collapse.counts(
        "two arms", 5, FEW, np.random.default_rng(1), collapsing=0.1, effect=collapse.EFFECT
    )
    assert found["plain"] / FEW < 0.5
    assert found["trained"] / FEW > 0.7
    assert found["missed, warned"] / found["missed"] > 0.9


@pytest.mark.parametrize("design", collapse.DESIGNS)
@pytest.mark.parametrize("by_seed", [False, True])
def test_where_nothing_differs_little_is_found(design, by_seed):
    generator = np.random.default_rng(2)
    found = collapse.counts(design, 5, FEW, generator, collapsing=0.4, by_seed=by_seed)
    assert found["trained, any"] / FEW <= 0.05 + MARGIN
    assert found["test, any"] / FEW <= 0.05 + MARGIN
