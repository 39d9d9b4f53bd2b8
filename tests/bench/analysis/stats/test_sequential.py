"""Bounds at declared looks, against published ones, Student's t and simulated data."""

import numpy as np
import pytest
from scipy import stats

from bench.analysis.stats.sequential import Look, bound, repeated_p, spent


def paired(seeds, cells=1):
    """Return the looks at a comparison over some cells, at some numbers of seeds."""
    most = seeds[-1]
    return tuple(Look(n / most, n * cells / 2, (2 * cells - 1) * (n - 1)) for n in seeds)


def bounds(looks, alpha=0.05, sides=2):
    return [bound(looks[: k + 1], alpha, sides=sides) for k in range(len(looks))]


def test_with_many_degrees_of_freedom_bounds_are_the_published_ones():
    # Lan and DeMets's, of O'Brien and Fleming's type: five looks, one-sided α = 0.025 (Jennison
    # and Turnbull 2000; ldbounds in R).
    looks = tuple(Look(k / 5, k, 20_000 * k) for k in range(1, 6))
    published = [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]
    np.testing.assert_allclose(bounds(looks, 0.025, 1), published, rtol=5e-4)


@pytest.mark.parametrize("sides", [1, 2])
def test_a_single_look_is_student_s_test(sides):
    for n, cells in ((2, 1), (5, 1), (3, 3)):
        (look,) = looks = paired([n], cells)
        assert bound(looks, 0.05, sides=sides) == pytest.approx(stats.t.isf(0.05 / sides, look.df))
        p = sides * stats.t.sf(1.7, look.df)
        assert repeated_p(1.7, looks, sides=sides) == pytest.approx(p, rel=1e-3)


@pytest.mark.parametrize(
    ("seeds", "cells", "alpha", "sides"),
    [
        ((3, 5, 8), 1, 0.05, 2),
        ((3, 5, 8), 1, 0.05 / 4, 2),
        ((2, 3, 4, 6), 1, 0.05, 1),
        ((3, 4, 7), 2, 0.05, 2),
        ((4, 12), 3, 0.1, 1),
    ],
)
def test_made_up_samples_reach_a_bound_as_often_as_they_should(seeds, cells, alpha, sides):
    count, generator = 200_000, np.random.Generator(np.random.Philox(7))
    looks = paired(seeds, cells)
    # Scores themselves, of 2 × cells conditions; the model of blocks is fitted in their margins.
    scores = generator.standard_normal((count, 2 * cells, seeds[-1])).astype(np.float32)
    reached = np.zeros(count, bool)
    for n, look, needed in zip(seeds, looks, bounds(looks, alpha, sides), strict=True):
        part = scores[:, :, :n]
        residual = part - part.mean(2, keepdims=True) - part.mean(1, keepdims=True)
        residual += part.mean((1, 2), keepdims=True)
        variance = (residual**2).sum((1, 2)) / look.df
        difference = part[:, :cells].mean((1, 2)) - part[:, cells:].mean((1, 2))
        t = difference / np.sqrt(variance * 2 / (cells * n))
        reached |= (np.abs(t) if sides == 2 else t) >= needed
        error = 4 * np.sqrt(spent(look.share, alpha) / count)
        assert reached.mean() == pytest.approx(spent(look.share, alpha), abs=error)


def test_a_repeated_p_is_at_most_alpha_where_the_bound_is_reached():
    looks = paired((3, 5, 8, 12))
    for k in range(1, 5):
        needed = bound(looks[:k], 0.05)
        assert repeated_p(1.01 * needed, looks[:k]) < 0.05 < repeated_p(0.99 * needed, looks[:k])
    assert repeated_p(0.0, looks) == 1.0
    assert repeated_p(np.inf, looks) < 1e-8
    assert repeated_p(np.inf, looks[:1]) == 0


def test_a_repeated_p_is_the_alpha_whose_bound_t_is():
    looks = paired((3, 5, 8))
    for sides in (1, 2):
        for k, alpha in ((1, 0.3), (2, 0.0071), (3, 0.03), (3, 0.6)):
            needed = bound(looks[:k], alpha, sides=sides)
            assert repeated_p(needed, looks[:k], sides=sides) == pytest.approx(alpha, rel=5e-3)


def test_a_look_so_early_that_nothing_is_spent_decides_nothing():
    assert bound(paired((3, 60))[:1], 0.05 / 10) == np.inf
    assert spent(1.0, 0.05) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="degree of freedom"):
        bound((Look(0.5, 2, 3), Look(1.0, 4, 3)), 0.05)
