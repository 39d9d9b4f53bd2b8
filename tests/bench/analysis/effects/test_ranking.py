"""How certain the order of arms is, of stores with known scores."""

import dataclasses

import numpy as np
import pytest

from bench.analysis.analysis import load

THREE = {"train.loss": ["ce", "dice", "focal"]}
VALUES = {
    (arm, seed): mean + 0.01 * seed
    for arm, mean in enumerate((0.50, 0.60, 0.51))
    for seed in range(3)
}


def test_the_best_mean_stands_first_and_close_arms_change_places(make_store):
    over = load(make_store(factors=THREE, values=VALUES, images=0)).rankings[0]
    assert (over.over, over.arms) == ("seeds", ("dice", "focal", "ce"))
    assert over.shares.sum(0) == pytest.approx(np.ones(3))
    assert over.shares.sum(1) == pytest.approx(np.ones(3))
    assert over.first("dice") > 0.95 > over.first("focal") > over.first("ce")
    assert over.ranks("ce") == (2, 3)
    assert over.ranks("dice") == (1, 1)


def test_the_same_store_gives_the_same_shares_and_errors_the_opposite_order(make_store):
    results = load(make_store(factors=THREE, values=VALUES, images=0))
    again = dataclasses.replace(results)
    assert (results.rankings[0].shares == again.rankings[0].shares).all()
    plan = results.plan.model_copy(update={"lower_is_better": True})
    assert dataclasses.replace(results, plan=plan).rankings[0].arms == ("ce", "focal", "dice")


def test_arms_with_fewer_than_two_scores_are_not_ranked(make_store):
    lost = {(1, 0): "oom", (1, 1): "diverged", (2, 2): "oom"}
    over = load(make_store(factors=THREE, values=VALUES, failures=lost, images=0)).rankings[0]
    assert over.arms == ("focal", "ce")
    lost |= {(2, 1): "oom"}
    assert (
        load(make_store("y", factors=THREE, values=VALUES, failures=lost, images=0)).rankings == ()
    )
    one_seed = make_store("z", factors=THREE, values=VALUES, seeds=(0,), images=0)
    assert load(one_seed).rankings == ()


def test_over_images_every_arm_is_scored_on_the_same_draws(make_store):
    results = load(make_store(images=0, counted=20))
    seeds, images = results.rankings
    assert (images.over, images.draws) == ("images", 1000)
    assert images.arms == seeds.arms
    first, second = (results.image_intervals[label].drawn for label in images.arms)
    assert images.first(images.arms[0]) == pytest.approx((first > second).mean())


def test_networks_evaluated_on_different_images_are_ranked_over_seeds_alone(make_store):
    results = load(make_store(images=0, counted=20))
    for key in results.done.loc[results.done["arm"] == "dice", "key"]:
        counts = results.counts[key]
        others = tuple(f"other_{name}" for name in counts.names)
        results.counts[key] = dataclasses.replace(counts, names=others)
    assert [one.over for one in results.rankings] == ["seeds"]
