"""By how much decided differences are overestimated: published numbers, and drawn experiments."""

import numpy as np
import pytest
from scipy import stats

from bench.analysis.stats.exaggeration import exaggeration


@pytest.mark.parametrize(
    ("effect", "error", "published"),
    # Gelman and Carlin (2014), sections "beauty and sex ratio" and "menstrual cycle".
    [(0.1, 3.3, 77), (0.3, 3.3, 25), (1.0, 3.3, 7.8), (2.0, 8.1, 9.7)],
)
def test_published_ratios(effect, error, published):
    found = exaggeration(effect / error, stats.norm.ppf(0.975), 1e6)
    assert found == pytest.approx(published, rel=0.03)


@pytest.mark.parametrize(("df", "effect"), [(2, 2.0), (4, 1.0), (8, 3.2), (40, 0.5)])
def test_drawn_experiments(df, effect):
    generator = np.random.Generator(np.random.PCG64(df))
    critical = stats.t.ppf(0.975, df)
    found = generator.normal(effect, 1, 1_000_000)
    errors = np.sqrt(generator.chisquare(df, found.size) / df)
    significant = np.abs(found) > critical * errors
    expected = np.abs(found[significant]).mean() / effect
    assert exaggeration(effect, critical, df) == pytest.approx(expected, rel=0.01)


def test_what_is_always_found_is_not_exaggerated():
    assert exaggeration(30.0, 2.0, 20) == pytest.approx(1)
