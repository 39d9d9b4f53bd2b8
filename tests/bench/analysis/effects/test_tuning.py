"""What tuning gave for each arm, from stores with known scores."""

import numpy as np
import pytest

from bench.analysis.analysis import load
from tests.bench.tuned_stores import DEFAULT, RATE, RATES, SEEDS


def curve(arm, rate, seed):
    """Return a score that is best at a rate of 0.003 for the first arm, of 0.01 for the other."""
    best = (np.log(0.003), np.log(0.01))[arm]
    return 0.5 - 0.03 * (np.log(rate) - best) ** 2 + 0.001 * seed % 7 + 0.01 * arm


@pytest.fixture
def tuned(make_tuned):
    return lambda **options: load(make_tuned(**{"score": curve, **options}))


def test_every_run_of_tuning_has_its_place(tuned):
    found = tuned(failures={(1, 0.03, 101): "diverged"})
    assert list(found.tried) == [((RATE, rate),) for rate in RATES]
    ce, dice = found.searches
    assert (ce.arm, dice.arm) == ("ce", "dice")
    assert ce.seeds == SEEDS
    expected = [[curve(0, rate, seed) for seed in SEEDS] for rate in RATES]
    assert ce.scores == pytest.approx(np.array(expected))
    assert np.isnan(dice.scores).sum() == 1
    assert dice.statuses[3] == ("done", "diverged", "done")
    assert ce.chosen == (((RATE, 0.003),),)
    assert dice.chosen == (((RATE, 0.01),),)
    assert ce.default == dice.default == ((RATE, DEFAULT),)
    assert not ce.at_edge


def test_a_run_that_diverged_counts_as_the_worst(tuned):
    dice = tuned(failures={(1, 0.03, 101): "diverged"}).searches[1]
    others = [curve(1, 0.03, seed) for seed in (100, 102)]
    assert dice.means[3] == pytest.approx(sum(others) / 3)
    assert dice.best[-1] == pytest.approx(max(dice.means))
    assert dice.best[0] == pytest.approx(dice.means.mean())
    assert dice.finished


def test_a_run_that_is_still_to_come_is_not_the_worst(tuned):
    found = tuned(failures={(1, 0.03, 101): "not run"}, ended=False)
    ce, dice = found.searches
    assert np.isnan(dice.means[3])
    assert not dice.finished
    assert not len(dice.best)
    assert ce.finished
    assert not ce.chosen
    assert not found.conclusions


def test_results_are_of_the_tuned_arms_and_the_default_is_beside_them(tuned):
    found = tuned()
    # Tuned, dice is at its best and ce too; by default ce is not.
    assert found.runs.scores["ce"] == pytest.approx([curve(0, 0.003, s) for s in range(5)])
    assert found.runs.scores["dice"] == pytest.approx([curve(1, 0.01, s) for s in range(5)])
    assert found.untuned.runs.scores["ce"] == pytest.approx([curve(0, 0.01, s) for s in range(5)])
    assert found.unplanned == 0
    assert not found.damaged


def test_before_values_are_chosen_results_are_those_of_the_default(tuned):
    found = tuned(ended=False)
    assert found.runs.scores["ce"] == pytest.approx([curve(0, 0.01, s) for s in range(5)])
    assert found.unplanned == 0


def test_a_record_with_other_settings_is_no_tuning_trial(make_tuned):
    store = make_tuned(score=curve)
    plan = store.read_plan()
    first = plan.tuning.trials[0].model_copy(update={"values": {RATE: 0.1}})
    trials = (first, *plan.tuning.trials[1:])
    tuning = plan.tuning.model_copy(update={"trials": trials})
    store.write_plan(plan.model_copy(update={"tuning": tuning}))
    found = load(store)
    assert found.searches[0].statuses[4][0] == "not run"
    (line,) = found.tried[((RATE, 0.1),)].damaged
    assert f"{RATE} is 0.1 in the plan" in line


def test_without_tuning_there_is_nothing(make_store):
    found = load(make_store(images=0))
    assert found.untuned is None
    assert not found.tried
    assert not found.searches
    assert not found.conclusions
