"""``evaluate``: stored networks scored again, and what the report says of it."""

import pandas as pd
import pytest

from bench.store import evaluations
from bench.store.folder import Store
from bench.training import loop
from tests.bench.made_stores import details_json


@pytest.fixture
def without_training(monkeypatch):
    """Let any step of training fail."""
    monkeypatch.setattr(loop, "Step", None)


def records(folder):
    return {(one.label, one.seed): one for one in Store(folder).records()}


def test_validation_images_again_give_the_scores_of_the_run(finished, bench, without_training):
    status, out, err = bench("evaluate", "small")
    assert (status, err) == (0, "")
    assert "small: 4 networks: 0 were scored already, 4 now, 0 failed" in out
    before = records(finished / "results/small")
    again = records(finished / "results/small/evaluations/val")
    assert again.keys() == before.keys()
    for which, record in again.items():
        was = before[which]
        assert record.result.metrics == was.result.metrics
        assert record.result.trained == was.key != record.key
        assert record.provenance["weights"] in was.result.checkpoint
        assert record.result.checkpoint is None
        own, others = (Store(finished / f"results/small{at}") for at in ("/evaluations/val", ""))
        assert own.details(record.key).confusion == others.details(was.key).confusion
    status, out, _ = bench("evaluate", "small")
    assert "4 were scored already, 0 now" in out


def test_a_run_on_other_images_scores_the_weights_that_it_would_train(
    finished, here, bench, monkeypatch
):
    run = ("run", "small.yaml", "--set", "evaluate.split=test", "--set", "seeds=1")
    assert bench(*run, "--results", "anew")[0] == 0
    monkeypatch.setattr(loop, "Step", None)
    assert (
        "\n2 more are scored with stored weights, without training\n" in bench(*run, "--dry-run")[1]
    )
    status, out, err = bench(*run)
    assert status == 0, err
    assert "2 measured now (2 of them from stored weights, without training), 0 failed" in out
    anew, scored = records(here / "anew/small"), records(here / "results/small")
    assert len(anew) == 2
    for which, record in anew.items():
        other = scored[which]
        assert (record.key, record.settings, record.provenance) == (
            other.key,
            other.settings,
            other.provenance,
        )
        same = {"trained", "training_seconds"}
        assert record.result.model_dump(exclude=same) == other.result.model_dump(exclude=same)
        assert other.result.trained is not None


@pytest.mark.parametrize("kept", ["predictions", "none"])
def test_no_photograph_is_kept_where_the_run_kept_none(kept, here, bench):
    pictures = {"predictions": ["evaluate.pictures=predictions"],
                "none": ["evaluate.panels=0", "evaluate.extremes=0"]}[kept]  # fmt: skip
    options = [word for one in ("seeds=1", *pictures) for word in ("--set", one)]
    assert bench("run", "small.yaml", *options)[0] == 0
    assert bench("evaluate", "small", "--split", "test")[0] == 0
    scored = Store(here / "results/small/evaluations/test")
    for record in scored.records():
        examples = record.accuracy.examples
        assert bool(examples) == (kept == "predictions")
        assert not any(one.image or one.truth for one in examples)
    pngs = {f"blobs/{path.name}" for path in (scored.folder / "blobs").glob("*")}
    assert pngs == {one.prediction for r in scored.records() for one in r.accuracy.examples}


def test_looks_at_test_images_are_counted(finished, bench, without_training):
    out = bench("evaluate", "small", "--split", "test", "--arm", "ce")[1]
    assert "looked at once (2 scores of 1 arm, on 20" in out
    assert (
        "looked at once (4 scores of 2 arms, on 20"
        in bench("evaluate", "small", "--split", "test")[1]
    )
    out = bench("evaluate", "small", "--split", "test", "--tta", "rotations")[1]
    assert "looked at twice (8 scores of 2 arms, on 20" in out
    assert "may have been chosen by them" in out
    store = Store(finished / "results/small")
    assert [one.folder.name for one in evaluations.stores(store)] == ["test", "test-rotations"]
    assert bench("report", "small", "--format", "md,html,csv")[0] == 0
    page = (store.folder / "report/report.md").read_text()
    means = [line for line in page.splitlines() if line.startswith("| ce (baseline) |")]
    tested = [
        r.metric("mean_iou")
        for r in Store(store.folder / "evaluations/test").records()
        if r.label == "ce"
    ]
    assert f"| ce (baseline) | {sum(tested) / 2:.3f} ±" in means[1]
    assert "looked at twice" in page
    table = pd.read_csv(store.folder / "report/trials-test.csv").query("arm == 'ce'")
    assert sorted(table["mean_iou"]) == sorted(tested)
    assert set(table["split"]) == {"test"}
    assert (
        "Test images, predictions averaged: rotations"
        in (store.folder / "report/report.html").read_text()
    )


def test_scores_of_networks_that_are_not_the_report_s_are_left_out(
    finished, bench, without_training
):
    assert bench("evaluate", "small", "--split", "test")[0] == 0
    store = Store(finished / "results/small")
    record = next(iter(store.records()))
    other = store.put(b"other weights", ".safetensors")
    result = record.result.model_copy(update={"checkpoint": other})
    store.commit(record.model_copy(update={"result": result}), details_json(store, record.key))
    bench("report", "small", "--format", "md")
    page = (store.folder / "report/report.md").read_text()
    assert f"{record.label}, seed {record.seed}: was scored with weights that are not" in page
    assert "The stored weights of 3 of 4 trials were scored on 1 images of the test split" in page


def test_scores_that_cannot_be_read_are_named_in_the_report(finished, bench, without_training):
    assert bench("evaluate", "small", "--split", "test")[0] == 0
    plan = finished / "results/small/evaluations/test/plan.json"
    plan.write_text(plan.read_text().replace("ce", "de"))
    status, _, err = bench("report", "small", "--format", "md,html,csv")
    assert (status, err) == (0, "")
    page = (finished / "results/small/report/report.md").read_text()
    assert "evaluations/test/plan.json: damaged (its checksum does not match)" in page


def test_networks_without_weights_are_named_and_the_others_scored(finished, bench):
    store = Store(finished / "results/small")
    record = next(one for one in store.records() if (one.label, one.seed) == ("dice", 1))
    result = record.result.model_copy(update={"checkpoint": None})
    store.commit(record.model_copy(update={"result": result}), details_json(store, record.key))
    status, out, err = bench("evaluate", "small", "--split", "test")
    assert status == 1
    assert err.startswith("error: dice, seed 1: its weights were not kept; to train it again, set")
    assert "small: 3 networks: 0 were scored already, 3 now, 0 failed" in out


def test_weights_of_other_code_are_pointed_out(finished, bench):
    store = Store(finished / "results/small")
    for record in list(store.records()):
        other = {**record.provenance, "code": "other"}
        changed = record.model_copy(update={"provenance": other})
        store.commit(changed, details_json(store, record.key))
    status, _, err = bench("evaluate", "small", "--arm", "ce")
    assert status == 0
    assert err == (
        "warning: 2 networks trained by other code than this: what is scored is how they do now\n"
    )


def test_settings_of_another_version_are_named(finished, bench):
    store = Store(finished / "results/small")
    record = next(iter(store.records()))
    record.settings["model"]["attention"] = True
    store.commit(record, details_json(store, record.key))
    status, _, err = bench("evaluate", "small")
    assert status == 2
    file = f"results/small/trials/{record.key}.json"
    assert err.startswith(f"error: {file}: of another version of this code: model: unknown key")
    assert err.count("\n") == 1


MISTAKES = {
    "name": (["smal"], "results: no experiment 'smal'; did you mean 'small'?"),
    "split": (["small", "--split", "tset"], "--split: unknown split 'tset'; did you mean 'test'?"),
    "tta": (["small", "--tta", "rotation"], "--tta: unknown tta 'rotation'; did you mean"),
    "arm": (["small", "--arm", "dise"], "small: no arm 'dise'; did you mean 'dice'?"),
    "seed": (["small", "--seed", "7"], "small: no seed 7; known: 0, 1"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(what, finished, bench):
    arguments, message = MISTAKES[what]
    status, out, err = bench("evaluate", *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (finished / "results/small/evaluations").exists()


def test_what_arms_differ_in_cannot_be_set(finished, bench):
    store = Store(finished / "results/small")
    plan = store.read_plan()
    views = {"ce": "none", "dice": "rotations"}
    trials = tuple(
        trial.model_copy(update={"arm": {"evaluate.tta": views[trial.label]}})
        for trial in plan.trials
    )
    changes = {"factors": {"evaluate.tta": [*views.values()]}, "baseline": {}, "trials": trials}
    store.write_plan(plan.model_copy(update=changes))
    status, _, err = bench("evaluate", "small", "--tta", "none")
    assert (status, err) == (
        2,
        "error: small: evaluate.tta is what its arms differ in, and cannot be set\n",
    )
