"""Counts of runs that did not train, exact tests between arms, and the means of the others."""

import math

import pytest
from scipy import stats

from bench.analysis.analysis import load
from bench.analysis.effects.collapse import Outcomes
from tests.bench.analysis.effects.made_up import SIX, scores

FALLEN = 0.01  # below what a prediction without images gets


def test_nothing_is_said_where_all_runs_trained(make_store):
    results = load(make_store(images=0))
    assert set(results.endings.values()) == {"trained"}
    assert results.collapse is None


def test_counts_bounds_and_fishers_test(make_store):
    values = scores(2, 6) | {(1, seed): FALLEN for seed in (1, 2, 3, 4)}
    results = load(
        make_store(images=0, seeds=range(6), values=values, failures={(1, 5): "diverged"})
    )
    found = results.collapse
    assert found.arms == {"ce": Outcomes(trained=6), "dice": Outcomes(1, collapsed=4, diverged=1)}
    assert found.seeds == {"ce": (), "dice": (1, 2, 3, 4, 5)}
    expected = stats.binomtest(5, 6).proportion_ci(method="exact")
    assert found.arms["dice"].bounds == pytest.approx((expected.low, expected.high))
    (test,) = found.tests
    assert test.p == test.p_adjusted == pytest.approx(stats.fisher_exact([[5, 1], [0, 6]]).pvalue)


def test_runs_that_trained_are_compared_as_if_there_were_no_others(make_store):
    values = scores(2, 6, arm1=0.05) | {(1, 0): FALLEN}
    results = load(make_store(images=0, seeds=range(6), values=values))
    assert results.effects.comparisons[0].verdict == "inconclusive"
    (one,) = results.collapse.trained
    above, below = ([values[arm, seed] for seed in range(1, 6)] for arm in (1, 0))
    assert one.contrast.p == pytest.approx(stats.ttest_rel(above, below).pvalue)
    assert (one.verdict, one.seeds) == ("better", 5)


def test_an_arm_of_which_no_run_trained_has_no_such_mean(make_store):
    values = {(1, seed): FALLEN for seed in range(3)}
    (one,) = load(make_store(images=0, values=values)).collapse.trained
    assert one.reason == "no seed trained in both"


def test_levels_are_compared_within_the_settings_of_other_factors(make_store):
    fallen = {(2, 0), (2, 1), (2, 2), (3, 0)}  # dice: three with one upsampling, one with the other
    values = scores(6, 3) | dict.fromkeys(fallen, FALLEN)
    results = load(make_store(images=0, factors=SIX, values=values))
    tests = {one.name: one for one in results.collapse.tests}
    dice = tests["train.loss = dice"]
    assert (dice.level, dice.baseline) == (Outcomes(2, 4), Outcomes(6))
    # 1 / 20 for three of three against none, 1 / 2 for one of three; and as rare the other way.
    assert dice.p == pytest.approx(2 * (1 / 20) * (1 / 2))
    assert math.isnan(tests["train.loss = dice+ce"].p)
    assert dice.p_adjusted == pytest.approx(2 * dice.p)  # two comparisons have a run that failed


EQUAL = {
    (arm, seed): 0.5 + 0.01 * seed + 1e-4 * (arm - seed % 2) for arm in (0, 1) for seed in range(6)
}


def test_equivalent_is_refused_where_a_run_did_not_train(make_store):
    same = {"images": 0, "seeds": range(6), "equivalence": 0.02}
    (one,) = load(make_store("kept", values=EQUAL, **same)).effects.comparisons
    assert (one.verdict, one.reason) == ("equivalent", "")
    # All runs of both have collapsed, and score alike.
    fallen = {run: value / 50 for run, value in EQUAL.items()}
    (one,) = load(make_store("fallen", values=fallen, **same)).effects.comparisons
    assert one.p_equivalent <= 0.05
    assert (one.verdict, one.reason) == ("inconclusive", "12 of 12 runs did not train")


def test_equivalent_is_refused_where_it_is_unknown_whether_runs_trained(make_store):
    store = make_store(
        images=0, seeds=range(6), equivalence=0.02, values=EQUAL, without=["train_pixels"]
    )
    (one,) = load(store).effects.comparisons
    assert one.verdict == "inconclusive"
    assert one.reason == "whether 12 of the runs trained is not known"


def test_speeds_may_be_equivalent(make_store):
    speeds = {(arm, seed): 100 + 0.01 * seed * (-1) ** arm for arm in (0, 1) for seed in range(5)}
    store = make_store(measure="throughput", seeds=range(5), values=speeds, equivalence=0.05)
    assert load(store).effects.comparisons[0].verdict == "equivalent"
