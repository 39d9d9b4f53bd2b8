"""What ``bench.load`` and ``bench.run`` give: frames that agree with what is stored, and warnings."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml

import bench
from bench.errors import UserError
from bench.experiment import config
from bench.experiment.code_digest import ROOT
from bench.store.folder import Store
from bench.store.labels import Labels
from tests.bench.cli.conftest import SMALL
from tests.bench.damage import flip
from tests.bench.made_stores import details_json

VALUES = yaml.safe_load(SMALL)


def test_history_has_every_stored_epoch(finished_run):
    store, found = Store(finished_run / "small"), bench.load(finished_run / "small").history
    stored = [
        (trial.key, trial.label, trial.seed, row["epoch"], row["train_loss"], row["learning_rate"])
        for trial in store.read_plan().trials
        for row in details_json(store, trial.key)["history"]
    ]
    columns = ["key", "arm", "seed", "epoch", "train_loss", "learning_rate"]
    assert list(found[columns].itertuples(index=False, name=None)) == stored
    assert found["study_iou"].notna().all()


def test_pixels_by_class_are_those_of_the_confusion_matrices(finished_run):
    store, found = Store(finished_run / "small"), bench.load(finished_run / "small").per_class
    rows = []
    for trial in store.read_plan().trials:
        details, classes = details_json(store, trial.key), store.read(trial.key).accuracy.classes
        for label, name in enumerate(classes):
            cells = [cell for entries in details["confusion"]["entries"] for cell in entries]
            truth = sum(pixels for t, _, pixels in cells if t == label)
            predicted = sum(pixels for _, p, pixels in cells if p == label)
            right = sum(pixels for t, p, pixels in cells if t == p == label)
            trained = details["train_pixels"][label]
            rows.append((trial.key, name, truth, predicted, right, trained))
    pixels = ["pixels_truth", "pixels_predicted", "pixels_correct", "pixels_train"]
    assert list(found[["key", "class", *pixels]].itertuples(index=False, name=None)) == rows
    union = found["pixels_truth"] + found["pixels_predicted"] - found["pixels_correct"]
    iou = (found["pixels_correct"] / union.where(union > 0)).astype(float)
    np.testing.assert_allclose(iou, found["iou"], atol=1e-9)
    assert all(found[name].dtype == "Int64" for name in pixels)


def test_without_counts_there_are_no_pixels(make_store):
    store = make_store(without=("confusion", "soft", "per_image", "train_pixels"), seeds=(0,))
    found = bench.load(store.folder).per_class
    assert found["iou"].notna().any()
    assert found["pixels_truth"].isna().all()


def test_frames_are_the_users_own(finished_run):
    results = bench.load(finished_run / "small")
    results.history["seed"] = 7
    assert sorted(results.analysis.history["seed"]) == [0, 0, 1, 1]


def test_a_notebook_shows_names_as_text(make_store):
    store = make_store(question="<script>alert(1)</script>?", rename={"grass": "<b>"})
    names = Labels(levels={"train.loss": {"ce": "<i>CE</i>"}})
    plan = store.read_plan()
    trials = tuple(
        trial.model_copy(update={"label": f"<u>{trial.label}</u>"}) for trial in plan.trials
    )
    store.write_plan(plan.model_copy(update={"labels": names, "trials": trials}))
    html = bench.load(store.folder)._repr_html_()
    for tag in ("script", "i", "u", "b"):
        assert f"<{tag}>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;?" in html
    assert "&lt;u&gt;ce&lt;/u&gt; (baseline)" in html
    assert html.count("<table>") == 2


def test_results_name_themselves(make_store):
    store = make_store(failures={(0, 1): "failed", (1, 2): "not run"})
    assert repr(bench.load(store.folder)) == (
        "<ExperimentResults of loss_ablation: 2 arms, 6 trials (4 finished, 1 failed, 1 not run); "
        "mean IoU>"
    )


def test_a_mapping_is_an_experiment_like_a_file(finished):
    given = {**VALUES, "factors": {"train.loss": ("ce", "dice")}, "seeds": np.arange(2)}
    found = bench.run(given, quiet=True)
    assert list(found.trials["status"]) == ["done"] * 4
    assert found.trials.equals(bench.load("results/small").trials)
    command = Store(finished / "results" / "small").read_plan().command
    expected = config.load(finished / "small.yaml")
    assert config.from_mapping(eval(command.removeprefix("bench.run"), {})) == expected
    assert given["factors"] == {"train.loss": ("ce", "dice")}


def test_a_mapping_extends_files_of_the_current_folder(finished):
    found = bench.run({"extends": "small.yaml"}, results=Path("results"), quiet=True)
    assert len(found.trials) == 4
    with pytest.raises(UserError, match=r"^gone\.yaml: cannot be read"):
        bench.run({"extends": "gone.yaml"})


WRONG = {
    "a function": ({**VALUES, "question": print}, "a builtin_function_or_method is no value that"),
    "not a number": ({**VALUES, "equivalence": np.float64("nan")}, "equivalence: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_yaml_does_not_have_is_refused(here, case):
    values, expected = WRONG[case]
    with pytest.raises(UserError, match=expected) as caught:
        bench.run(values)
    assert str(caught.value).startswith("experiment: ")
    assert not (here / "results").exists()


def test_overrides_are_of_a_file_or_a_mapping(here):
    with pytest.raises(UserError, match=r"--set train\.epohcs=1: train: unknown key 'epohcs'"):
        bench.run(VALUES, overrides=["train.epohcs=1"])
    with pytest.raises(UserError, match="overrides: change the values"):
        bench.run(config.from_mapping(VALUES), overrides=["train.epochs=1"])


def test_warnings_are_pythons_and_name_the_callers_line(finished):
    plan = Store(finished / "results" / "small").read_plan()
    flip(finished / "results" / "small" / "details" / f"{plan.trials[0].key}.json")
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        found = bench.load(finished / "results" / "small")
    (one,) = given
    assert (one.category, one.filename) == (UserWarning, __file__)
    assert "its checksum does not match" in str(one.message)
    assert len(found.history) == 3
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        found = bench.run("small.yaml", quiet=True)
    (one,) = given
    assert (one.category, one.filename) == (UserWarning, __file__)
    assert "moved to damaged/, and measured again" in str(one.message)
    assert len(found.history) == 4


def test_a_folder_of_several_experiments_names_them(finished):
    with pytest.raises(UserError, match=r"results: holds no experiment .*; in it are small"):
        bench.load("results")


def test_loading_imports_no_torch(finished_run):
    check = (
        "import bench, sys; results = bench.load(sys.argv[1]); results._repr_html_(); "
        "results.per_class; print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", check, str(finished_run / "small")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "False"
