"""Runs of cross-validation: what tells them, and what it does to all that is computed of them."""

import dataclasses

import pytest

from bench.analysis.analysis import load
from bench.analysis.stats import folds
from bench.report.content.prose import say

RATIO = 6 / 24  # of images held out and trained on


def cross_validated(store):
    """Return results in which each seed has scored other images."""
    results = load(store)
    results.trials.loc[:, ["evaluated_images", "train_images"]] = 6, 24
    for key, seed in zip(results.done["key"], results.done["seed"], strict=True):
        names = tuple(f"{seed}_{name}" for name in results.counts[key].names)
        results.counts[key] = dataclasses.replace(results.counts[key], names=names)
    return results


@pytest.mark.parametrize("pairing", ["seed", "none"])
def test_seeds_that_hold_out_other_images_are_not_independent(make_store, pairing):
    store = make_store(images=0, counted=12, pairing=pairing)
    plain, found = load(store), cross_validated(store)
    wider = folds.widening(3, RATIO)
    assert (plain.runs.overlap, found.runs.overlap) == (0, RATIO)
    (before,), (after,) = plain.effects.comparisons, found.effects.comparisons
    assert after.contrast.error == pytest.approx(wider * before.contrast.error)
    assert after.high - after.low == pytest.approx(wider * (before.high - before.low))
    assert after.detectable == pytest.approx(wider * before.detectable)
    arm = found.effects.arms["ce"]
    assert arm.high - arm.mean == pytest.approx(
        wider * (plain.effects.arms["ce"].high - plain.effects.arms["ce"].mean)
    )
    assert found.image_claims == {}


def test_folds_are_not_called_runs_that_differ_by_their_seed(make_store):
    results = cross_validated(make_store(images=0, counted=12))
    said = " ".join(say(results, "arms") + say(results, "effects"))
    assert "in cross-validation, each with other images held out" in said
    assert "1.3 times as wide" in said
    assert "allow for that (Nadeau and Bengio 2003)" in said
    assert "different seeds" not in said
    assert "on such images" not in said
