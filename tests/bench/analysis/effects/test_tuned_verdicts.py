"""Where a verdict on tuned arms holds, from stores with known scores to one of few sentences."""

import numpy as np
import pytest
from scipy import stats

from bench.analysis.analysis import load
from bench.analysis.effects.tuned_verdicts import EDGE, EVERYWHERE, FLIPS, ONLY_TUNED, UNDECIDED
from tests.bench.tuned_stores import RATES, SEEDS

LOW, SOME, DEFAULT, HIGH = RATES
THREE = {"factors": {"train.loss": ["ce", "dice", "dice+ce"]}, "chosen": (SOME, DEFAULT, SOME)}


def noise(arm, rate, seed):
    return 0.004 * np.random.default_rng([arm, int(1e4 * rate), seed]).standard_normal()


def scored(*, tuned, default, common):
    """Return scores in which dice is better than ce by so much; ``common`` has all four rates.

    The tuned rates of both arms differ, so that no other trial has both of them.
    """
    away = dict(zip(RATES, common, strict=True))

    def score(arm, rate, seed):
        if seed in SEEDS:
            return 0.4 + noise(arm, rate, seed) + arm * away[rate]
        # With reported seeds: ce at 0.003 is the tuned one, dice at 0.01 both tuned and default.
        base = {SOME: 0.4 + default - tuned, DEFAULT: 0.4}[rate]
        return noise(arm, rate, seed) + (0.4 + default if arm else base)

    return score


@pytest.fixture
def concluded(make_tuned):
    """Return a function: by how much dice is better, and what happened → the conclusion."""

    def get(tuned, default, common, **options):
        score = scored(tuned=tuned, default=default, common=common)
        found = load(make_tuned(score=score, **options))
        return found.conclusions[0]

    return get


BETTER, WORSE = 0.05, -0.05


@pytest.mark.parametrize(
    ("tuned", "default", "common", "kind"),
    [
        (BETTER, BETTER, [BETTER] * 4, EVERYWHERE),
        (WORSE, WORSE, [WORSE] * 4, EVERYWHERE),
        (BETTER, 0.0, [0.0] * 4, ONLY_TUNED),
        (BETTER, WORSE, [0.0] * 4, FLIPS),
        (0.0, 0.0, [WORSE, 0.0, 0.0, BETTER], FLIPS),
        (BETTER, BETTER, [BETTER, BETTER, BETTER, WORSE], FLIPS),
        (BETTER, BETTER, [BETTER, BETTER, BETTER, 0.0], UNDECIDED),
        (BETTER, 0.0, [0.0, BETTER, 0.0, 0.0], UNDECIDED),
        (0.0, BETTER, [BETTER] * 4, UNDECIDED),
        (0.0, 0.0, [0.0] * 4, UNDECIDED),
    ],
)
def test_a_conclusion_follows_from_verdicts(concluded, tuned, default, common, kind):
    assert concluded(tuned, default, common).kind == kind


def test_equal_everywhere_is_equivalent_everywhere(concluded):
    found = concluded(0.0, 0.0, [0.0] * 4, equivalence=0.03)
    assert [place.verdict for place in found.places] == ["equivalent"] * 6
    assert found.kind == EVERYWHERE


@pytest.mark.parametrize("arm", [0, 1])
def test_at_the_edge_nothing_is_decided_but_a_flip(concluded, arm):
    assert concluded(BETTER, BETTER, [BETTER] * 4, edges=(arm,)).kind == EDGE
    assert concluded(BETTER, WORSE, [0.0] * 4, edges=(arm,)).kind == FLIPS


def test_only_the_arms_of_a_comparison_can_be_at_the_edge(make_tuned):
    def score(arm, rate, seed):
        return 0.4 + 0.05 * arm + noise(arm, rate, seed)

    found = load(make_tuned(score=score, edges=(2,), **THREE)).conclusions
    assert [one.kind for one in found] == [EVERYWHERE, EDGE]


def test_at_common_values_the_error_is_that_of_all_or_its_own_if_larger(make_tuned):
    """As a two-way table of (arm, value) by seed, analysed by hand."""
    score = scored(tuned=0.05, default=0.05, common=[0.05] * 4)
    places = load(make_tuned(score=score)).conclusions[0].common
    table = np.array([[score(a, rate, s) for s in SEEDS] for rate in RATES for a in (0, 1)])
    residual = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    df = (8 - 1) * (3 - 1)
    pooled = (residual**2).sum() / df
    larger = 0
    for place, (base, other) in zip(places, table.reshape(4, 2, 3), strict=True):
        difference = other.mean() - base.mean()
        own = np.var(other - base, ddof=1) / 2
        larger += own > pooled
        half = stats.t.ppf(0.975, df) * np.sqrt(max(own, pooled) * 2 / 3)
        assert place.contrast.df == df
        assert place.contrast.low == pytest.approx(difference - half)
        assert place.contrast.high == pytest.approx(difference + half)
        assert place.contrast.p == pytest.approx(
            2 * stats.t.sf(abs(difference) / (half / stats.t.ppf(0.975, df)), df)
        )
    assert 0 < larger < len(places)


@pytest.mark.parametrize(
    ("arms", "kind"), [((0, 1), EVERYWHERE), ((0,), EVERYWHERE), ((1,), UNDECIDED)]
)
def test_where_runs_diverge_nothing_is_estimated(concluded, arms, kind):
    """Of both arms or of the worse one that is no objection; of the better one it is."""
    failures = {(arm, HIGH, seed): "diverged" for arm in arms for seed in SEEDS}
    found = concluded(BETTER, BETTER, [BETTER] * 4, failures=failures)
    assert found.kind == kind
    last = found.common[-1]
    assert last.verdict == "inconclusive"
    assert last.failed == (3 * (0 in arms), 3 * (1 in arms))
    assert found.common[0].contrast.df == (6 - 1) * (3 - 1)


def test_one_seed_of_tuning_shows_nothing_at_common_values(concluded):
    found = concluded(BETTER, BETTER, [BETTER] * 4, seeds=(100,))
    assert {place.verdict for place in found.common} == {"inconclusive"}
    assert found.kind == UNDECIDED


def test_a_default_that_was_not_measured_leaves_it_open(concluded):
    failures = {(1, DEFAULT, seed): "not run" for seed in range(5)}
    found = concluded(BETTER, BETTER, [BETTER] * 4, failures=failures, chosen=(SOME, SOME))
    assert found.default.verdict == "inconclusive"
    assert found.kind == UNDECIDED


def test_tuned_and_default_have_the_intervals_of_their_verdicts(make_tuned):
    def score(arm, rate, seed):
        return 0.4 + 0.02 * arm + noise(arm, rate, seed)

    found = load(make_tuned(score=score, **THREE))
    for one, tuned, default in zip(
        found.conclusions,
        found.effects.comparisons,
        found.untuned.effects.comparisons,
        strict=True,
    ):
        for place, expected in ((one.tuned, tuned), (one.default, default)):
            assert place.verdict == expected.verdict
            assert place.contrast.difference == expected.contrast.difference
            assert (place.contrast.low, place.contrast.high) == (expected.low, expected.high)
