"""Numbers of seeds that decide, against drawing experiments and against scipy's distributions."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.analysis.stats.assurance import (
    ASSURANCE,
    MOST_SEEDS,
    Design,
    assurance,
    decides,
    seeds_that_decide,
    spread_range,
)


def pair(seeds):
    """A single paired comparison: two arms whose runs have a spread of 1."""
    df = seeds - 1
    critical, critical_equivalent = stats.t.ppf([0.975, 0.95], df)
    return Design(math.sqrt(2 / seeds), df, critical, critical_equivalent)


def drawn(margin, design, sds, generator):
    """Draw what an experiment estimates, and how often it decides."""
    true_error = design.error * sds
    errors = true_error * np.sqrt(generator.chisquare(design.df, len(sds)) / design.df)
    shares = []
    for truth in (margin, 0.0):
        found = generator.normal(truth, true_error)
        equivalent = np.abs(found) + design.critical_equivalent * errors <= margin
        better = (found > design.critical * errors) & ~equivalent
        shares.append((better if truth else equivalent).mean())
    return shares


@pytest.mark.parametrize(("seeds", "margin"), [(3, 3.0), (5, 1.5), (12, 1.2), (12, 3.0)])
def test_probabilities_are_those_of_drawn_experiments(seeds, margin):
    design = pair(seeds)
    generator = np.random.Generator(np.random.PCG64(seeds))
    expected = drawn(margin, design, np.ones(200_000), generator)
    assert decides(margin / design.error, design) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("df", [3, 20])
@pytest.mark.parametrize("effect", [1.0, 2.5])
def test_where_equivalence_is_out_of_reach_it_is_power(df, effect):
    design = Design(1.0, df, critical=2.2, critical_equivalent=1e6)
    called, equivalent = decides(effect, design)
    assert called == pytest.approx(stats.nct.sf(2.2, df, effect), abs=1e-6)
    assert equivalent == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("df", [1, 2, 8])
def test_it_is_averaged_over_the_posterior_of_the_variance(df):
    design, sd, margin = pair(9), 0.7, 1.4
    variance = stats.invgamma(df / 2, scale=df * sd**2 / 2)  # scaled inverse χ²

    # The midpoint rule over quantiles.
    errors = design.error * np.sqrt(variance.ppf((np.arange(20_000) + 0.5) / 20_000))
    expected = decides(margin / errors, design).mean(1).min()
    assert assurance(margin, design, sd, df) == pytest.approx(expected, abs=1e-4)


def test_the_number_is_the_least_that_is_enough():
    needed = seeds_that_decide(1.5, pair, 1.0, 4)
    assert assurance(1.5, pair(needed.seeds), 1.0, 4) >= ASSURANCE
    assert assurance(1.5, pair(needed.seeds - 1), 1.0, 4) < ASSURANCE


def test_the_range_is_that_of_the_spread():
    needed = seeds_that_decide(1.0, pair, 1.0, 10)
    assert needed.low < needed.seeds < needed.high
    for chance, seeds in [(0.95, needed.low), (0.05, needed.high)]:
        sd = math.sqrt(10 / stats.chi2.ppf(chance, 10))
        assert decides(1.0 / (pair(seeds).error * sd), pair(seeds)).min() >= ASSURANCE
        assert decides(1.0 / (pair(seeds - 1).error * sd), pair(seeds - 1)).min() < ASSURANCE


def test_with_a_well_known_spread_it_is_the_textbooks_number():
    """n = 2 (z + z')² sd² / δ² for two one-sided tests with 80 % power at 0, and a little more."""
    needed = seeds_that_decide(0.5, pair, 1.0, 1e5)
    textbook = 2 * (stats.norm.ppf(0.95) + stats.norm.ppf(0.90)) ** 2 / 0.5**2
    assert textbook < needed.seeds < textbook + 3
    assert needed.low == pytest.approx(needed.high, abs=2)


def test_where_designs_change_the_least_number_before_or_after_is_found():
    """Below eight seeds a shared error with many degrees of freedom, from then on an own one."""

    def designed(seeds):
        df = 12 * (seeds - 1) if seeds < 8 else seeds - 1
        critical, critical_equivalent = stats.t.ppf([0.995, 0.99], df)
        return Design(math.sqrt(2 / seeds), df, critical, critical_equivalent)

    found = {}
    for margin in (1.8, 2.2, 3.0):
        enough = [n for n in range(2, 60) if assurance(margin, designed(n), 1, 30) >= ASSURANCE]
        found[margin] = seeds_that_decide(margin, designed, 1, 30, switch=8).seeds
        assert found[margin] == enough[0]
    assert any(n < 8 and assurance(d, designed(8), 1, 30) < ASSURANCE for d, n in found.items())


@pytest.mark.parametrize("df", [1, 4, 30])
def test_the_spread_lies_in_its_range_with_90_percent(df):
    estimated = np.sqrt(stats.chi2.rvs(df, size=100_000, random_state=df) / df)
    low, high = spread_range(df)
    assert (low * estimated > 1).mean() == pytest.approx(0.05, abs=0.003)
    assert (high * estimated < 1).mean() == pytest.approx(0.05, abs=0.003)


def test_ends():
    assert seeds_that_decide(0.1, pair, 0.0, 4).seeds == 2
    far = seeds_that_decide(0.001, pair, 1.0, 4)
    assert (far.seeds, far.low, far.high) == (None, None, None)
    assert seeds_that_decide(0.2, pair, 1.0, 2).low < MOST_SEEDS
