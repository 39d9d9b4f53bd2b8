"""Throughput trials: what they read, do and return. The clock is replaced where times matter."""

import itertools
import json
import math
from collections import Counter
from typing import get_args

import numpy as np
import pytest
import torch

from bench.data import registry
from bench.data.normalisation import EIGHT_BITS
from bench.errors import UserError
from bench.execution import accuracy
from bench.experiment import plan
from bench.experiment.config import Experiment
from bench.experiment.context import RunContext
from bench.experiment.trial import READS, TimingSettings, TrialSettings
from bench.profiling import throughput, timing, workloads
from bench.profiling.peaks import Peaks
from bench.profiling.timing import WarmUp, Windows
from bench.training.loop import train
from bench.training.step import TrainSettings

CPU = torch.device("cpu")
BASE = {
    "data": {"name": "scenes", "train": 6, "val": 2, "test": 1, "size": 48},
    "model": {"base_channels": 4, "depth": 2},
    "train": {"crop_size": 32, "batch_size": 4, "loss": "dice+ce", "threads": 1},
    "timing": {"window": 0.01, "windows": 3, "warm_up": 0.1, "measuring": 0.01},
}


def settings(work, **changes):
    values = json.loads(json.dumps(BASE))
    values["timing"]["pass"] = work
    for name, value in changes.items():
        section, _, key = name.partition("__")
        values.setdefault(section, {})[key] = value
    return TrialSettings.model_validate(values)


@pytest.fixture
def steady(monkeypatch):
    """A machine on which every window takes 20 ms a call, and whose peak rates are known."""
    monkeypatch.setattr(timing, "warm_up", lambda work, *a, **k: _warm(work))
    monkeypatch.setattr(timing, "measure", lambda work, *a, windows, **k: (20.0,) * windows)
    monkeypatch.setattr(timing, "measure_until", lambda work, *a, windows, **k: _steady(windows))
    monkeypatch.setattr(throughput.bound.peaks, "measure", lambda *a: Peaks(1e9, 1e9))
    monkeypatch.setattr(throughput.device_state, "problems", lambda *a, **k: ([], []))


def _warm(work):
    work()
    return WarmUp(90.0, 1, (20.0, 20.0, 20.0), True)


def _steady(windows):
    return Windows((20.0,) * windows, 0.0, "standard error")


def measured(work, tmp_path, **changes):
    context = RunContext(tmp_path, CPU, put=lambda content, suffix: "blob")
    return throughput.measure(settings(work, **changes), 0, context)


def result_of(work, tmp_path, **changes):
    """The result as it is stored."""
    return measured(work, tmp_path, **changes).result.model_dump(mode="json")


@pytest.mark.parametrize("work", READS)
def test_a_trial_returns_times_memory_and_the_roofline_bound(work, tmp_path, steady):
    found = measured(work, tmp_path)
    result = found.result.model_dump(mode="json")
    json.dumps([result, found.details], allow_nan=False)
    assert found.problems == ()
    assert result["pass"] == work
    assert result["milliseconds"] == 20
    assert result["images_per_second"] == pytest.approx(4 / 0.020)
    assert result["metrics"]["images_per_second"] == result["images_per_second"]
    assert result["first_call_seconds"] == pytest.approx(0.09)
    assert result["compile_seconds"] is None
    assert result["memory"]["process_bytes"] > 1e6
    assert result["validity"] == {"valid": True, "reasons": [], "accepted": []}
    assert set(result["states"]) == {"first", "before", "after"}
    assert found.details["wall_ms"] == [20.0] * 3
    assert (result["parts_ms"] is not None) == (work == "train_step")
    assert (result["roofline_ms"] is None) == (work == "loader")
    if work != "loader":
        rows = found.details["layers"]
        assert result["roofline_ms"] == pytest.approx(sum(row["roofline_ms"] for row in rows))
        assert result["roofline_share"] == pytest.approx(result["roofline_ms"] / 20)
        assert result["counts"]["parameters"] > 1000
        assert result["slowest_layers"]


def test_the_roofline_bound_grows_with_what_the_pass_does(tmp_path, steady):
    bounds = [
        result_of(work, tmp_path)["roofline_ms"]
        for work in ("forward", "forward+backward", "train_step")
    ]
    assert bounds == sorted(bounds)
    assert len(set(bounds)) == 3


def test_shares_of_a_step_add_up(tmp_path, steady):
    result = result_of("train_step", tmp_path, train__augmentation="paper")
    assert list(result["parts_ms"]) == [
        *("loading", "augmenting", "copying", "forward", "backward", "optimiser")
    ]
    assert sum(result["parts_share"].values()) == pytest.approx(1)
    assert result["parts_ms"]["copying"] == 20


def test_memory_that_runs_out_after_the_times_leaves_them_as_they_are(
    tmp_path, steady, monkeypatch
):
    def no_memory(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    for owner, name in (
        (throughput.workloads, "attribute"),
        (throughput.roofline, "layer_times"),
        (throughput.bound.peaks, "measure"),
    ):
        monkeypatch.setattr(owner, name, no_memory)
    found = measured("train_step", tmp_path)
    assert found.problems == ()
    assert found.result.milliseconds == 20
    assert found.result.parts_ms is found.result.peaks is found.result.roofline_share is None
    json.dumps([found.result.model_dump(mode="json"), found.details], allow_nan=False)

    monkeypatch.setattr(throughput.bound.peaks, "measure", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # any other error is one
        measured("train_step", tmp_path)


def test_what_disturbs_a_trial_is_named_and_its_numbers_are_kept(tmp_path, steady, monkeypatch):
    unsettled = WarmUp(90.0, 1, (20.0, 23.0, 26.0), False)
    monkeypatch.setattr(timing, "warm_up", lambda *a, **k: unsettled)
    monkeypatch.setattr(
        throughput.device_state, "problems", lambda *a, **k: (["throttled: heat"], [])
    )
    found = measured("forward", tmp_path)
    reasons = (
        "the warm-up did not settle: its last windows became slower by 26%",
        "throttled: heat",
    )
    assert found.problems == reasons
    assert not found.result.validity.valid
    assert found.result.validity.reasons == reasons
    assert found.result.milliseconds == 20


def test_a_real_clock_gives_times_that_are_numbers(tmp_path):
    found = measured("forward", tmp_path)
    assert all(time > 0 and math.isfinite(time) for time in found.details["wall_ms"])
    assert 3 <= len(found.details["wall_ms"]) <= 5
    assert 0 < found.result.roofline_share < 10
    assert any(row["forward_ms"] for row in found.details["layers"])


def test_compiling_is_timed_apart(tmp_path, steady, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda model, mode: model)
    result = result_of("forward", tmp_path, train__compile="default")
    assert result["compile_seconds"] == pytest.approx(0.07)
    assert result["slowest_layers"] == []  # it has no separate layers
    assert result["compiled"]["graphs"] == 0  # as nothing was compiled here
    assert result_of("forward", tmp_path)["compiled"] is None


def test_the_timed_step_is_the_one_of_training(tmp_path):
    """One epoch of training on a single batch, and a call of the workload, move weights alike."""
    given = settings("train_step", train__learning_rate=1e-2)
    dataset = registry.load(given.data, tmp_path)
    workload = workloads.build(given, dataset, 3, CPU)
    before = {k: v.clone() for k, v in workload.model.state_dict().items()}
    inputs, targets = workload.batch
    # What Batches yields, so that training turns it into the same inputs.
    images = ((inputs + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    inputs.copy_(images.float() / 127.5 - 1)
    workload.call()
    stepped = workload.model.state_dict()

    class OneBatch:
        normalisation = EIGHT_BITS

        def __len__(self):
            return 1

        def epoch(self, number):
            yield images.permute(0, 2, 3, 1), targets.to(torch.uint8)

    model = accuracy.network(given, dataset, 0, CPU)
    model.load_state_dict(before)
    once = given.train.model_copy(update={"epochs": 1})
    train(model, OneBatch(), once, device=CPU, evaluate=lambda model: {"mean_iou": 0.0})
    for name, value in model.state_dict().items():
        assert torch.equal(value, stepped[name]), name
    assert any(not torch.equal(before[name], stepped[name]) for name in before)


def test_passes_change_what_they_should(tmp_path):
    for work, changes in (("forward", False), ("forward+backward", False), ("train_step", True)):
        dataset = registry.load(settings(work).data, tmp_path)
        workload = workloads.build(settings(work), dataset, 0, CPU)
        before = [p.detach().clone() for p in workload.model.parameters()]
        workload.call()
        same = all(map(torch.equal, before, workload.model.parameters()))
        assert same != changes
        assert workload.model.training == (work != "forward")
        got = any(p.grad is not None for p in workload.model.parameters())
        assert got == (work != "forward")


def test_a_schedule_that_ends_does_not_end_the_timing(tmp_path):
    given = settings("train_step", train__schedule={"name": "one_cycle"}, train__epochs=1)
    workload = workloads.build(given, registry.load(given.data, tmp_path), 0, CPU)
    for _ in range(8):
        workload.call()
    assert workload.step.learning_rate > 0


def test_the_loader_gives_the_batches_of_training(tmp_path):
    given = settings("loader", train__augmentation="flip")
    dataset = registry.load(given.data, tmp_path)
    workload = workloads.build(given, dataset, 5, CPU)
    expected = workloads.Batches(dataset.splits["train"], given.train, seed=5, workers=0)
    for epoch in (1, 2):  # it goes on for ever
        for images, labels in expected.epoch(epoch):
            got = workload.call()
            assert torch.equal(images, got[0])
            assert torch.equal(labels, got[1])


def test_a_dataset_without_training_images_cannot_be_loaded_from(tmp_path):
    given = settings("loader")
    dataset = registry.load(given.data, tmp_path)
    only_val = type(dataset)(**{**vars(dataset), "splits": {"val": dataset.splits["val"]}})
    with pytest.raises(UserError, match="scenes has no train split to load"):
        workloads.build(given, only_val, 0, CPU)


OTHER = {
    "evaluate__every": 3,
    "train__epochs": 77,
    "train__augmentation": "flip",
    "train__loss": "ce",
    "train__learning_rate": 0.5,
    "train__precision": "bf16",
    "train__threads": 2,
    "model__base_channels": 8,
    "model__encoder": "resnet50",
    "data__size": 64,
    "timing__workers": 2,
    "timing__window": 0.5,
    "timing__standard_error": 0.1,
}
HOW_LONG = {"timing__window", "timing__standard_error"}
READ = {
    "forward": {"train__precision", "train__threads", "model__base_channels"} | HOW_LONG,
    "loader": {"train__augmentation", "train__threads", "data__size", "timing__workers"} | HOW_LONG,
}
READ["forward+backward"] = READ["forward"] | {"train__loss"}
READ["train_step"] = READ["forward+backward"] | {"train__augmentation", "train__learning_rate"}
READ["train_step"] |= {"data__size"}


@pytest.mark.parametrize("work", READS)
@pytest.mark.parametrize("option", OTHER)
def test_a_key_is_made_of_what_the_pass_reads(work, option):
    plain = settings(work).effective("throughput")
    changed = settings(work, **{option: OTHER[option]}).effective("throughput")
    assert (plain != changed) == (option in READ[work])


def test_every_pass_is_known_everywhere():
    assert set(READS) == set(get_args(TimingSettings.model_fields["work"].annotation))


def test_accuracy_does_not_read_how_long_is_timed():
    plain, timed = settings("forward"), settings("loader", timing__windows=9)
    assert plain.effective("accuracy") == timed.effective("accuracy")
    assert set(plain.effective("accuracy")) == {"data", "model", "train", "evaluate"}


def experiment(**changes):
    values = {
        **BASE,
        "name": "speed",
        "measure": "throughput",
        "factors": {"train.batch_size": [1, 2, 4, 8], "timing.pass": ["forward", "train_step"]},
    }
    return Experiment.model_validate({**values, **changes})


def test_throughput_has_defaults_of_its_own():
    assert experiment().seeds == [0, 1, 2, 3, 4]
    assert experiment().metric == "images_per_second"
    assert experiment(seeds=2).seeds == [0, 1]
    with pytest.raises(ValueError, match="measure: throughput does not give 'mean_iou'"):
        experiment(metric="mean_iou")
    with pytest.raises(ValueError, match="measure: accuracy does not give 'roofline_share'"):
        experiment(measure="accuracy", metric="roofline_share")


def test_repetitions_are_interleaved_in_balanced_orders(tmp_path):
    described = experiment()
    trials = plan.plan(described, tmp_path)
    order = plan.measuring_order(described, trials)
    assert order == plan.measuring_order(described, trials)
    assert sorted(t.key for t in order) == sorted(t.key for t in trials)
    assert [t.seed for t in order] == sorted(t.seed for t in trials)
    rounds = np.array([t.arm.label for t in order]).reshape(5, 8)
    assert len({tuple(labels) for labels in rounds}) == 5
    following = Counter(pair for row in rounds for pair in itertools.pairwise(row))
    assert max(following.values()) == 1  # of a square of eight rows, five
    longer = experiment(seeds=8)
    more = plan.measuring_order(longer, plan.plan(longer, tmp_path))
    assert [trial.key for trial in more[: len(order)]] == [trial.key for trial in order]
    renamed = experiment(name="other")
    others = plan.measuring_order(renamed, plan.plan(renamed, tmp_path))
    assert [t.key for t in others] != [t.key for t in order]
    accuracy_trials = plan.measuring_order(Experiment.model_validate({**BASE, "name": "a"}), trials)
    assert accuracy_trials == trials


def test_images_that_no_pass_reads_make_nothing_stale(tmp_path):
    def keys(work, **data):
        values = {"factors": {}, "timing": {"pass": work}, "data": {**BASE["data"], **data}}
        return [trial.key for trial in plan.plan(experiment(**values), tmp_path)]

    assert keys("forward") == keys("forward", train=9)
    assert keys("loader") != keys("loader", train=9)
    assert keys("forward") != keys("forward", void="class")  # one class more


def test_defaults_name_what_training_reads():
    assert set(READS["train_step"]) == set(TrainSettings.model_fields) - {"epochs", "patience"}
