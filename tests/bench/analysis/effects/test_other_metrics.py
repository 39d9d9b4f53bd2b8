"""The same comparisons by other metrics, against experiments that are about these metrics."""

import dataclasses

import pytest

from bench.analysis.analysis import Analysis, load
from bench.analysis.effects.other_metrics import opposites
from tests.bench.analysis.effects.made_up import scores


def about(results, metric):
    """The same results of an experiment that is about another metric."""
    plan = results.plan.model_copy(update={"metric": metric, "equivalence": None})
    fields = {each.name: getattr(results, each.name) for each in dataclasses.fields(results)}
    return Analysis(**{**fields, "plan": plan})


@pytest.fixture
def results(make_store):
    values = scores(3, 4, arm1=0.2)
    factors = {"train.loss": ["ce", "dice", "dice+ce"]}
    return load(make_store(images=0, factors=factors, seeds=range(4), values=values))


def test_each_is_what_an_experiment_about_it_would_say(results):
    assert {by.metric for by in results.by_other_metrics} == {
        "pixel_accuracy",
        "mean_class_accuracy",
        "frequency_weighted_iou",
        "mean_boundary_iou",
    }
    for by in results.by_other_metrics:
        expected = about(results, by.metric).effects.comparisons
        for one, other in zip(by.comparisons, expected, strict=True):
            assert one.verdict == other.verdict
            assert one.p_adjusted == other.p_adjusted
            assert one.contrast == other.contrast


def shifted(results, metric, by):
    """Let one arm score otherwise by a metric."""
    trials = results.trials
    rows = (trials["arm"] == "dice").to_numpy()
    trials.loc[rows, metric] = (
        trials.loc[~rows, metric].mean() + by + trials.loc[rows, "seed"] / 1e3
    )


def test_opposite_verdicts_are_found_and_others_not(results):
    assert opposites(results.effects.comparisons, results.by_other_metrics) == {}
    again = about(results, "mean_iou")
    shifted(again, "pixel_accuracy", -0.5)
    shifted(again, "mean_class_accuracy", 0.5)
    found = opposites(again.effects.comparisons, again.by_other_metrics)
    ((by, one),) = found["train.loss = dice"]
    assert (list(found), by.metric, one.verdict) == (
        ["train.loss = dice"],
        "pixel_accuracy",
        "worse",
    )


def test_of_a_metric_of_ones_own_the_direction_is_unknown(results):
    trials = results.trials
    trials["my_code:holes"] = trials["mean_iou"] * -50
    own = dataclasses.replace(results, scores=(*results.scores, "my_code:holes", "v_rand_split"))
    by = own.by_other_metrics[-1]
    assert (by.metric, by.directed) == ("my_code:holes", False)
    assert by.comparisons[0].contrast.difference < -5
    assert opposites(own.effects.comparisons, own.by_other_metrics) == {}


def test_speeds_have_no_others(make_store):
    assert load(make_store(measure="throughput")).by_other_metrics == ()
