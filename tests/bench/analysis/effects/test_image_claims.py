"""Claims about such images, of stores that hold counts by image."""

import dataclasses

import numpy as np
import pytest

from bench.analysis.analysis import load
from bench.analysis.stats.verdicts import BETTER, INCONCLUSIVE
from bench.report.content import words
from bench.report.content.prose import say
from bench.report.tables.statistics import comparisons

CLEAR = {(arm, seed): 0.5 + 0.3 * arm + 0.001 * seed for arm in (0, 1) for seed in range(3)}
FACTORS = {"train.loss": ["ce", "dice"], "model.upsampling": ["bilinear", "transposed"]}


def the_claim(results):
    (claim,) = results.image_claims.values()
    return claim


def test_a_claim_has_the_plain_difference_and_no_smaller_error_than_runs_alone(make_store):
    results = load(make_store(images=0, counted=16))
    claim, (one,) = the_claim(results), results.effects.comparisons
    assert claim.images == 16
    assert claim.contrast.difference == pytest.approx(one.contrast.difference)
    assert claim.contrast.error > one.contrast.error
    assert claim.p_adjusted == claim.contrast.p


def test_what_is_large_against_images_and_runs_is_claimed(make_store):
    results = load(make_store(images=0, counted=40, values=CLEAR))
    (one,) = results.effects.comparisons
    assert one.verdict == the_claim(results).verdict == BETTER
    assert words.beyond_these_images(results) == "; on other such images too"
    (row,) = comparisons(results).to_dict("records")
    assert (row["such_verdict"], row["images"], row["image_groups"]) == (BETTER, 40, 40)
    assert row["such_low"] == pytest.approx(the_claim(results).low, rel=1e-5)


def test_a_claim_says_no_more_than_the_verdict_on_these_images(make_store):
    results = load(make_store(images=0, counted=40, values=CLEAR))
    (one,) = results.effects.comparisons
    unsure = dataclasses.replace(one, verdict=INCONCLUSIVE)
    results.__dict__["effects"] = dataclasses.replace(results.effects, comparisons=(unsure,))
    assert the_claim(results).verdict == INCONCLUSIVE
    assert words.beyond_these_images(results) == ""


@pytest.mark.parametrize("design", ["full_factorial", "one_at_a_time"])
def test_every_comparison_has_a_claim_from_the_seeds_that_finished(make_store, design):
    options = {"factors": FACTORS, "design": design, "failures": {(1, 2): "diverged"}}
    results = load(make_store(images=0, counted=12, seeds=range(4), **options))
    claims = results.image_claims
    assert list(claims) == ["train.loss = dice", "model.upsampling = transposed"]
    for one in results.effects.comparisons:
        assert claims[one.name].contrast.difference == one.contrast.difference
        assert claims[one.name].contrast.error >= one.contrast.error
        assert claims[one.name].low <= one.low < one.high <= claims[one.name].high
        assert claims[one.name].p_adjusted >= one.p_adjusted


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"counted": 9}, "fewer than 10"),
        ({"counted": 16, "without": ("confusion",)}, "not stored"),
    ],
)
def test_too_little_to_say_anything_of_other_images_is_said(make_store, options, reason):
    results = load(make_store(images=0, **options))
    assert reason in the_claim(results).reason
    assert not the_claim(results).verdict


def test_arms_on_different_images_have_no_claim(make_store):
    """With the fold as a factor, every level has its own."""
    results = load(make_store(images=0, counted=16))
    for key, arm in zip(results.done["key"], results.done["arm"], strict=True):
        names = tuple(f"{arm}_{name}" for name in results.counts[key].names)
        results.counts[key] = dataclasses.replace(results.counts[key], names=names)
    assert "same images" in the_claim(results).reason
    assert results.runs.overlap == 0  # seeds of an arm have the same ones


def test_a_class_in_few_images_is_named(make_store):
    results = load(make_store(images=0, counted=16))
    for key, counts in results.counts.items():
        image, truth = (
            counts.cells // counts.classes**2,
            counts.cells // counts.classes % counts.classes,
        )
        kept = (truth != 0) | (image < 3)
        cells, pixels = counts.cells[kept], counts.pixels[kept]
        results.counts[key] = dataclasses.replace(counts, cells=cells, pixels=pixels)
    name = results.classes["class"].iloc[0]
    assert the_claim(results).reason == f"{name} is in only 3 of 16 images"


def test_speeds_are_not_about_images(make_store):
    assert load(make_store(measure="throughput", metric="images_per_second")).image_claims == {}


def test_groups_of_images_count_as_one(make_store):
    """Twelve groups of two, and the same twelve as images of their own."""
    results = load(make_store(images=0, counted=24))
    plan = results.plan.model_copy(update={"image_groups": r"^(\d+)_"})
    grouped = dataclasses.replace(results, plan=plan)
    merged = dataclasses.replace(results, counts={})
    for key, counts in results.counts.items():
        pairs = tuple(f"{number % 12:02}_{number}" for number in range(24))
        grouped.counts[key] = dataclasses.replace(counts, names=pairs)
        whole = counts.matrices().reshape(2, 12, counts.classes, counts.classes).sum(0)
        cells = np.flatnonzero(whole)
        merged.counts[key] = dataclasses.replace(
            counts, names=pairs[:12], cells=cells, pixels=whole.flat[cells]
        )
    claim = the_claim(grouped)
    assert (claim.images, claim.units, claim.noun) == (24, 12, "group")
    assert claim.contrast.error == pytest.approx(the_claim(merged).contrast.error)
    drawn = [each.image_intervals["ce"].drawn for each in (grouped, merged)]
    assert drawn[0] == pytest.approx(drawn[1])
    said = " ".join(say(grouped, "effects"))
    assert "other groups of images of this kind, of which these 12 have to be a random" in said


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"name": "isbi2012", "fold": 0, "folds": 2}, "fewer than 10 groups"),
        ({"folds": {"group": r"_(\d)\d_s$", "fold": 0}}, "fewer than 10 groups"),
        ({"folds": {"group": {"table": "a.csv"}, "fold": 0}}, "image_groups would have to name"),
        ({"folds": {"group": "patient", "fold": 0}}, "image_groups would have to name"),
    ],
)
def test_groups_of_folds_and_slices_of_one_volume_are_known(make_store, data, reason):
    results = load(make_store(images=0, counted=16))
    for record in results.records.values():
        record.settings["data"] |= data
    assert reason in the_claim(results).reason
    assert results.image_intervals == {}
