"""What a record says is what its samples give; what contradicts itself or its plan is damaged."""

import json

import numpy as np
import pytest
import torch

from bench.__main__ import main
from bench.store import checks, damage, loading
from bench.store.files import Damaged
from bench.store.plans import Plan
from bench.store.records import Record, contradicted
from bench.store.stored import validated
from tests.bench.store.test_edited import parsed, sealed
from unet import metrics

KEY = "k0000s0"
REFUSED = {
    "a status that is none": lambda r: r.update(status="splendid"),
    "done without a result": lambda r: r.update(result=None),
    "failed with a result": lambda r: r.update(status="failed", reason="why"),
    "done for a reason": lambda r: r.update(reason="why"),
    "no number": lambda r: r["result"]["metrics"].update(mean_iou=float("nan")),
    "no end": lambda r: r["settings"]["train"].update(momentum=float("inf")),
    "a score above 1": lambda r: r["result"]["metrics"].update(pixel_accuracy=1.01),
    "a score below 0": lambda r: r["result"]["metrics"].update(dice=[-0.1] * 8),
    "fewer numbers than classes": lambda r: r["result"]["metrics"].update(iou=[0.5] * 7),
    "one number for all classes": lambda r: r["result"]["metrics"].update(iou=0.5),
    "more classes than there are": lambda r: r["result"]["metrics"].update(classes_averaged=9),
    "half a class": lambda r: r["result"]["metrics"].update(classes_averaged=2.5),
    "a colour too few": lambda r: r["result"]["palette"].pop(),
    "no colour": lambda r: r["result"]["palette"].__setitem__(0, [0, 0, 256]),
    "a seed below 0": lambda r: r.update(seed=-1),
    "a picture elsewhere": lambda r: r["result"]["examples"][0].update(image="../x.png"),
    "an arm that its settings are not": lambda r: r["arm"].update({"train.loss": "dice"}),
    "of another measurement": lambda r: r.update(measure="throughput"),
}
IN_PLAN = {
    "a baseline that is no level": lambda p: p["baseline"].update({"train.loss": "focal"}),
    "a baseline of no factor": lambda p: p["baseline"].update({"train.lossy": "ce"}),
    "no levels": lambda p: p["factors"].update({"train.loss": []}),
    "a metric that is none": lambda p: p.update(metric="mean_iuo"),
    "a metric of another measurement": lambda p: p.update(metric="images_per_second"),
    "a trial too few": lambda p: p["trials"].pop(),
    "a trial twice": lambda p: p["trials"].append(p["trials"][0]),
    "two labels": lambda p: p["trials"][0].update(label="another"),
    "another seed": lambda p: p["trials"][0].update(seed=7),
    "a key that leads out": lambda p: p["trials"][0].update(key="../x"),
    "a design that is none": lambda p: p.update(design="fractional"),
}


@pytest.fixture(scope="module")
def pristine(example):
    """Return a record and its details, and a plan, as JSON."""
    store = example("two arms")
    return (
        store,
        parsed(store.record_file(KEY).read_bytes()),
        parsed((store.folder / "plan.json").read_bytes()),
    )


def copied(body):
    return json.loads(json.dumps(body))


@pytest.mark.parametrize("what", REFUSED)
def test_a_record_that_cannot_be_is_refused(pristine, tmp_path, what):
    body = copied(pristine[1])
    validated(Record, sealed(body), tmp_path)
    REFUSED[what](body)
    with pytest.raises(Damaged, match=r"damaged \("):
        validated(Record, sealed(body), tmp_path)


@pytest.mark.parametrize("what", IN_PLAN)
def test_a_plan_that_cannot_be_is_refused(pristine, tmp_path, what):
    body = copied(pristine[2])
    validated(Plan, sealed(body), tmp_path)
    IN_PLAN[what](body)
    with pytest.raises(Damaged, match=r"damaged \("):
        validated(Plan, sealed(body), tmp_path)


def test_scores_are_those_of_the_library():
    rng = np.random.default_rng(0)
    for classes in (1, 2, 5):
        for _ in range(20):
            matrix = rng.integers(0, 50, (classes, classes)) * rng.integers(0, 2, (classes, 1))
            there = rng.integers(0, 2, classes)
            matrix = matrix * there * there[:, None]
            found, given = checks.scores(matrix), torch.from_numpy(matrix)
            expected = {**metrics.SCORES, **metrics.CLASS_SCORES}
            expected["classes_averaged"] = metrics.classes_averaged
            for name, score in expected.items():
                ours = np.array(found[name], dtype=np.float64)  # None is NaN
                np.testing.assert_allclose(ours, score(given).numpy(), rtol=1e-12, atol=0)
            assert found["classes_in_truth"] == (matrix.sum(1) > 0).sum()


def edit(store, change, path=None):
    path = path or store.record_file(KEY)
    body = parsed(path.read_bytes())
    change(body)
    path.write_bytes(sealed(body))


EDITS = {
    "mean_iou": (lambda r: r["result"]["metrics"].update(mean_iou=0.999), "confusion matrices"),
    "iou": (lambda r: r["result"]["metrics"]["iou"].__setitem__(0, 0.123), "confusion matrices"),
    "dice": (lambda r: r["result"]["metrics"].pop("dice"), "confusion matrices"),
    "boundary_iou": (
        lambda r: r["result"]["metrics"]["boundary_iou"].__setitem__(0, 1.0),
        "images",
    ),
    "evaluated_images": (lambda r: r["result"]["counts"].update(evaluated_images=1), "confusion"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_score_that_is_not_that_of_its_counts_is_named_and_not_shown(make_store, name):
    store = make_store(classes=3, images=1)
    change, source = EDITS[name]
    edit(store, change)
    results = loading.load(store)
    (line,) = results.damaged
    assert f"{KEY}.json: its {name} " in line
    assert source in line
    assert dict(zip(results.trials["key"], results.trials["status"], strict=True))[KEY] == "not run"
    assert KEY not in results.records
    # a run measures it again
    planned = {trial.key: (trial.seed, trial.arm) for trial in store.read_plan().trials}
    assert damage.set_aside(store, planned) == [line]
    assert not store.has(KEY)


def test_a_speed_that_is_not_that_of_its_samples_is_named(make_store):
    store = make_store(measure="throughput")
    edit(store, lambda d: d["wall_ms"].__setitem__(1, 1e-3), store.details_file(KEY))
    (line,) = loading.load(store).damaged
    assert f"{KEY}.json: its milliseconds" in line


def test_a_list_of_speeds_is_refused(make_store):
    store = make_store(measure="throughput")
    edit(store, lambda r: r["result"]["metrics"].update(roofline_share=[]))
    (line,) = loading.load(store).damaged
    assert "result.throughput.metrics.roofline_share" in line


def test_a_record_of_another_seed_is_named_by_every_command(make_store, capsys, without_figures):
    store = make_store(classes=3, images=0)
    edit(store, lambda r: r.update(seed=5))
    where = ["--results", str(store.folder.parent)]
    assert main(["status", *where]) == 0
    assert "its seed is 5, in the plan 0" in capsys.readouterr().err
    assert main(["report", *where, "--format", "md"]) == 0
    assert "its seed is 5" in (store.folder / "report" / "report.md").read_text("utf-8")


def test_one_damaged_plan_does_not_keep_others_from_their_report(
    make_store, capsys, without_figures
):
    stores = [make_store(f"results/{name}", classes=2, images=0, seeds=(0,)) for name in "abc"]
    (stores[1].folder / "plan.json").write_text("nonsense")
    results = stores[0].folder.parent
    for command in ("report", "status"):
        assert main([command, "--results", str(results)]) == 2
        captured = capsys.readouterr()
        (line,) = captured.err.splitlines()
        assert "plan.json: damaged" in line
    assert [(one.folder / "report" / "report.md").is_file() for one in stores] == [
        True,
        False,
        True,
    ]
    assert main(["compare", str(results), str(results)]) == 2
    captured = capsys.readouterr()
    assert "a: 2 trials finished in both" in captured.out
    assert "c: 2 trials finished in both" in captured.out
    assert len(captured.err.splitlines()) == 1


def test_levels_and_settings_of_different_type_are_no_contradiction():
    settings = {"train": {"learning_rate": 0.001, "schedule": {"name": "poly", "power": 0.9}}}
    assert not contradicted("train.learning_rate", "1e-3", settings)
    assert not contradicted("train.schedule", {"name": "poly"}, settings)
    assert not contradicted("train.momentum", 0.9, settings)
    assert contradicted("train.schedule", {"name": "step"}, settings)
    assert contradicted("train.learning_rate", 0.01, settings)
