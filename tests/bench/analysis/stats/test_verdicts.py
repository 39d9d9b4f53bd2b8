"""Verdicts, and the test of equivalence against statsmodels."""

import math

import numpy as np
import pytest
from statsmodels.stats.weightstats import ttost_paired

from bench.analysis.stats.blocks import contrast, fit
from bench.analysis.stats.verdicts import equivalence, verdict

NAN = math.nan


@pytest.mark.parametrize("shift", [-1.5, 0.0, 0.4, 3.0])
def test_equivalence_is_that_of_statsmodels(shift):
    rng = np.random.default_rng(0)
    below, above = rng.normal(size=(2, 6)) + rng.normal(size=6)
    above += shift
    expected = ttost_paired(above, below, -1.2, 1.2)[0]
    assert equivalence(contrast(fit([below, above]), [-1, 1]), 1.2) == pytest.approx(expected)


def test_equivalence_of_what_does_not_vary():
    same = contrast(fit([[1, 2, 3], [1, 2, 3]]), [-1, 1])
    assert equivalence(same, 0.1) == 0
    apart = contrast(fit([[1, 2, 3], [2, 3, 4]]), [-1, 1])
    assert equivalence(apart, 0.5) == 1
    assert math.isnan(equivalence(contrast(fit([[1], [2]]), [-1, 1]), 0.5))


@pytest.mark.parametrize(
    ("difference", "p", "p_equivalent", "expected"),
    [
        (0.1, 0.01, NAN, "better"),
        (-0.1, 0.01, NAN, "worse"),
        (0.1, 0.05, NAN, "better"),
        (0.1, 0.06, NAN, "inconclusive"),
        (0.1, 0.06, 0.2, "inconclusive"),
        (0.0, 1.0, 0.01, "equivalent"),
        (0.1, 0.01, 0.01, "equivalent"),  # certainly there, and certainly too small to matter
        (0.1, 0.01, 0.2, "better"),
        (0.1, NAN, NAN, "inconclusive"),
        (0.0, 1.0, NAN, "inconclusive"),  # equal values are no proof of equality
    ],
)
def test_verdicts(difference, p, p_equivalent, expected):
    assert verdict(difference, p, p_equivalent) == expected
    turned = {"better": "worse", "worse": "better"}.get(expected, expected)
    assert verdict(difference, p, p_equivalent, higher_is_better=False) == turned
