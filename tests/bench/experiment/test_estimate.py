"""An estimate comes from what was measured, and from arithmetic where nothing was."""

import pytest
import torch

from bench.experiment import estimate, plan
from bench.experiment.config import Experiment
from bench.store.folder import Store
from bench.store.records import Record
from bench.store.results import AccuracyResult

CPU = torch.device("cpu")


def seconds(trials, store, root):
    return sum(estimate.each("accuracy", trials, store, root=root, device=CPU).values())


@pytest.fixture
def trials(tmp_path):
    described = Experiment.model_validate(
        {
            "name": "small",
            "data": {"name": "scenes", "train": 4, "val": 2, "test": 1, "size": 48},
            "model": {"base_channels": 4, "depth": 2},
            "train": {"crop_size": 32, "epochs": 1},
            "factors": {"train.loss": ["ce", "dice"], "train.epochs": [1, 10]},
            "seeds": [0, 1, 2],
        }
    )
    return plan.plan(described, tmp_path)


def store_result(store, trial, seconds):
    store.commit(
        Record(
            key=trial.key, experiment="small", measure="accuracy", status="done", reason=None,
            arm=trial.arm.levels, label=trial.arm.label, seed=trial.seed,
            settings=trial.arm.settings.effective("accuracy"), provenance={}, environment={},
            started="2026-01-02T03:04:05Z", seconds=seconds,
            result=AccuracyResult(
                classes=("a",), palette=((0, 0, 0),), split="val", chosen_epoch=1, metrics={}, counts={}
            ),
        ),
        {},
    )  # fmt: skip


def test_an_arm_takes_as_long_as_it_took(trials, tmp_path):
    store = Store(tmp_path / "small")
    for trial, took in zip(trials, (10.0, 100.0, 20.0, 200.0), strict=False):
        store_result(store, trial, took)
    left = [trial for trial in trials if trial.seed > 0]
    assert seconds(left, store, tmp_path) == pytest.approx(2 * 330)
    each = estimate.each("accuracy", left[:2], store, root=tmp_path, device=CPU)
    assert each == {left[0].key: 10.0, left[1].key: 100.0}


def test_a_trial_that_was_resumed_took_all_its_epochs(trials, tmp_path):
    store = Store(tmp_path / "small")
    store_result(store, trials[0], 2.0)
    record = store.read(trials[0].key)
    result = record.result.model_copy(update={"training_seconds": 90.0})
    store.commit(record.model_copy(update={"result": result}), {})
    assert seconds(trials[:1], store, tmp_path) == 90.0


def test_without_records_time_follows_the_work(trials, tmp_path, monkeypatch):
    timed = []
    monkeypatch.setattr(estimate, "_image_seconds", lambda *args: timed.append(args) or 0.01)
    empty = Store(tmp_path / "small")
    one, ten = trials[0], trials[1]  # epochs of 4 images, 2 images evaluated after each and last
    assert seconds([one], empty, tmp_path) == pytest.approx(0.01 * (4 + 2 * 2 / 3))
    assert seconds([ten], empty, tmp_path) == pytest.approx(0.01 * (40 + 11 * 2 / 3))
    timed.clear()
    seconds(trials, empty, tmp_path)
    assert len(timed) == 1  # arms that differ in loss and epochs only


def test_a_first_estimate_is_a_time(trials, tmp_path):
    assert 0 < seconds(trials, Store(tmp_path / "none"), tmp_path) < 3600
