"""Two folders of results: trials matched by arm and seed, changes with intervals."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.__main__ import main
from bench.analysis import compare
from bench.errors import UserError
from tests.bench.made_stores import details_json

VALUES = {(0, 0): 0.50, (0, 1): 0.52, (0, 2): 0.51, (1, 0): 0.40, (1, 1): 0.45, (1, 2): 0.41}
LATER = {**VALUES, (1, 0): 0.41, (1, 1): 0.40, (1, 2): 0.375}


@pytest.fixture
def two(make_store):
    """Return a function that writes two stores of one experiment."""

    def write(later=LATER, **options):
        return make_store("a/loss", values=VALUES), make_store("b/loss", values=later, **options)

    return write


def remeasured(store, change):
    """Commit every record of a store anew, as ``change`` makes it."""
    for record in list(store.records()):
        store.commit(record.model_copy(update=change(record)), details_json(store, record.key))


def test_changes_are_paired_by_seed(two):
    first, second = compare.compare(*two()).arms
    assert (first.change.n, first.change.mean, first.worse) == (3, 0, False)
    before, after = ([values[1, seed] for seed in range(3)] for values in (VALUES, LATER))
    differences = np.subtract(after, before)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(0.95)
    assert second.change.mean == pytest.approx(differences.mean())
    assert (second.change.low, second.change.high) == pytest.approx((low, high))
    assert (second.first, second.second) == pytest.approx((np.mean(before), np.mean(after)))
    assert second.worse  # 2.5 points on the average


@pytest.mark.parametrize(("tolerance", "worse"), [(0.01, True), (0.024, True), (0.026, False)])
def test_worse_is_by_more_than_the_tolerance(two, tolerance, worse):
    assert bool(compare.compare(*two(), tolerance).complaints) == worse


def test_what_is_the_same_to_the_last_digit_is_counted(two):
    changes = compare.compare(*two())
    assert (changes.matched, changes.identical) == (6, 3)
    assert changes.differing == {}


def test_a_trial_that_failed_since_is_a_loss(two):
    changes = compare.compare(*two(VALUES, failures={(0, 1): "diverged", (1, 2): "not run"}))
    first, second = changes.arms
    assert (first.lost, first.worse, first.change.n) == ((1,), True, 2)
    assert (second.lost, second.worse, second.change.n) == ((), False, 2)
    assert changes.alone == ("dice, seed 2",)
    assert changes.complaints == ["ce: seed 1 finished in A and failed in B"]


def test_times_are_ratios(two):
    first, second = two(VALUES)
    remeasured(second, lambda record: {"seconds": record.seconds * 1.5})
    for arm in compare.compare(first, second).arms:
        assert math.exp(arm.time.mean) == pytest.approx(1.5)
        assert arm.time.high - arm.time.low == pytest.approx(0, abs=1e-9)


def test_speeds_are_compared_as_ratios(make_store):
    speeds = {(arm, seed): 100.0 for arm in range(2) for seed in range(3)}
    slower = {key: 0.9 * speed for key, speed in speeds.items()}
    first = make_store("a/loss", measure="throughput", values=speeds)
    second = make_store("b/loss", measure="throughput", values=slower)
    changes = compare.compare(first, second)
    assert changes.relative
    assert [math.exp(arm.change.mean) for arm in changes.arms] == pytest.approx([0.9, 0.9])
    assert len(changes.complaints) == 2
    assert compare.compare(first, second, 0.11).complaints == []
    with pytest.raises(UserError, match="--tolerance 1: a share of the speed"):
        compare.compare(first, second, 1)
    for key in sorted(second.keys()):
        failed = {"status": "failed", "reason": "x", "result": None}
        second.commit(second.read(key).model_copy(update=failed), {})
    for arm in compare.compare(first, second).arms:
        assert set(arm.cells(relative=True)) == {"–"}


def test_versions_and_settings_that_differ_are_named(two):
    first, second = two(VALUES)
    remeasured(
        second,
        lambda record: {
            "environment": {**record.environment, "torch": "2.11.0"},
            "settings": {**record.settings, "train": {**record.settings["train"], "epochs": 9}},
        },
    )
    assert compare.compare(first, second).differing == {
        "torch": ("2.15.0", "2.11.0"),
        "train.epochs": ("6", "9"),
    }


def test_folders_of_experiments_are_matched_by_name(two, make_store):
    first, second = two()
    make_store("b/other")
    found, alone = compare.pairs(first.folder.parent, second.folder.parent)
    assert [(name, a.folder, b.folder) for name, a, b in found] == [
        ("loss", first.folder, second.folder)
    ]
    assert alone == ["other"]
    assert compare.pairs(first.folder, second.folder)[0][0][0] == "loss"


def test_what_cannot_be_compared_is_said(two, make_store, tmp_path):
    first, second = two()
    with pytest.raises(UserError, match="nowhere: no experiment has been run here"):
        compare.pairs(first.folder, tmp_path / "nowhere")
    make_store("c/other")
    with pytest.raises(UserError, match="no experiment is in both"):
        compare.pairs(tmp_path / "a", tmp_path / "c")
    with pytest.raises(UserError, match="one is an experiment, the other holds several"):
        compare.pairs(first.folder, tmp_path / "c")
    second.write_plan(second.read_plan().model_copy(update={"metric": "pixel_accuracy"}))
    with pytest.raises(UserError, match="metric is mean_iou in one, pixel_accuracy in the other"):
        compare.compare(first, second)


def test_the_command_tells_by_its_status(two, capsys):
    first, second = two()
    a, b = str(first.folder), str(second.folder)
    assert main(["compare", a, b]) == 1
    out, err = capsys.readouterr()
    assert "loss: 6 trials finished in both, 3 of them with the same mean_iou" in out
    assert "-0.0250 [-0.1026, +0.0526]" in out
    assert err == ("error: loss: dice: mean_iou -0.0250 [-0.1026, +0.0526], more than 0.01 worse\n")
    assert main(["compare", a, b, "--tolerance", "0.03"]) == 0
    assert main(["compare", a, a]) == 0
    assert main(["compare", a, "nowhere"]) == 2
