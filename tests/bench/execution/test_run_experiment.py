"""Skip what is stored, measure the rest, and keep going; also after a kill."""

from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from bench.errors import UserError
from bench.execution import until_stored
from bench.execution.executors import in_process
from bench.execution.job import Job
from bench.execution.prepare import Prepared
from bench.execution.progress import Progress
from bench.execution.run_experiment import run_experiment
from bench.experiment import plan
from bench.experiment.config import Experiment
from bench.experiment.context import Measured
from bench.experiment.stage import Stage
from bench.measurements import MEASUREMENTS
from bench.store.folder import Store
from bench.store.results import AccuracyResult
from bench.training.loop import Diverged
from tests.bench.made_stores import details_json, timing

EXPERIMENT = {
    "name": "small",
    "data": {"name": "scenes", "train": 2, "val": 2, "test": 1, "size": 48},
    "factors": {"train.loss": ["ce", "dice"]},
    "seeds": [0, 1, 2],
}


def measured(score, problems=()):
    """What a trial gives whose mean IoU is the score."""
    result = AccuracyResult(
        classes=("a",),
        palette=((0, 0, 0),),
        split="val",
        chosen_epoch=1,
        metrics={"mean_iou": score, "classes_averaged": 1},
        counts={},
    )
    return Measured(result, {"history": []}, problems)


class Bench:
    """An experiment with a store and a stand-in for measuring that counts its calls."""

    def __init__(self, folder, monkeypatch):
        self.described = Experiment.model_validate(EXPERIMENT)
        self.trials = plan.plan(self.described, folder)
        self.store = Store(folder / "small")
        self.folder = folder
        self.calls = []
        self.problems = {}
        self.monkeypatch = monkeypatch
        self.measure_with(self.measure)

    def measure(self, settings, seed, context):
        self.calls.append((settings.train.loss, seed))
        problem = self.problems.get((settings.train.loss, seed))
        if problem is not None:
            raise problem
        if self.described.measure == "throughput":
            return Measured(timing())
        value = seed + (settings.train.loss == "dice")
        return measured(value / 10)

    def measure_with(self, measure):
        for measurement in MEASUREMENTS.values():
            self.monkeypatch.setattr(f"{measurement.module}.measure", measure)

    def as_throughput(self):
        """Make it an experiment about speed, measured here by a stand-in too."""
        self.described = Experiment.model_validate({**EXPERIMENT, "measure": "throughput"})
        self.trials = plan.plan(self.described, self.folder)

    def run(self, device="cpu", warn=lambda line: None, **more):
        prepared = Prepared(
            "python -m bench run small.yaml", self.described, Stage(self.trials), self.store,
            root=self.folder, device=torch.device(device), workers=0, executor=in_process, **more,
        )  # fmt: skip
        return run_experiment(prepared, Progress(Console(quiet=True)), warn=warn)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)


def test_every_trial_is_measured_once(bench):
    first, second = bench.run(), bench.run()
    assert (first.stored, first.measured, first.failed) == (0, 6, ())
    assert (second.stored, second.measured) == (6, 0)
    assert len(bench.calls) == 6
    for trial in bench.trials:
        record = bench.store.read(trial.key)
        assert (record.label, record.seed, record.status) == (trial.arm.label, trial.seed, "done")
        assert record.provenance == trial.provenance
        assert record.environment["python"]


@pytest.mark.parametrize("works", [True, False])
def test_a_gpu_is_the_one_that_work_goes_to_and_may_fail(bench, monkeypatch, works):
    """On a machine whose GPU answers nothing any more there are still records."""

    def set_device(device):
        used.add(str(device))
        if not works:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")

    used, said = set(), []
    monkeypatch.setattr(torch.cuda, "set_device", set_device)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: 1 / 0)
    outcome = bench.run("cuda:1", said.append, note="no GPU but this one")
    assert used == {"cuda:1"}
    assert said == ["no GPU but this one"]
    assert len(outcome.failed) == (0 if works else 6)
    for trial in bench.trials:
        record = bench.store.read(trial.key)
        assert record.status == ("done" if works else "failed")
        assert record.environment["device"] == "cuda"
        assert record.environment["device_name"] is None


@pytest.mark.parametrize(
    ("problem", "status", "reason"),
    [
        (Diverged("the training loss is nan in epoch 3"), "diverged", "loss is nan in epoch 3"),
        (torch.OutOfMemoryError("CUDA out of memory.\n tried"), "oom", "out of memory. tried"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when"), "oom", "CUBLAS_STATUS"),
        (RuntimeError("shapes\n differ"), "failed", "RuntimeError: shapes differ"),
        (UserError("no such file"), "failed", "no such file"),
    ],
)
def test_a_trial_that_fails_is_recorded_and_the_others_go_on(bench, problem, status, reason):
    bench.problems["dice", 1] = problem
    outcome = bench.run()
    assert (outcome.measured, len(outcome.failed)) == (6, 1)
    [failed] = outcome.failed
    assert bench.store.read(failed.key) == failed
    assert (failed.label, failed.seed, failed.status) == ("dice", 1, status)
    assert reason in failed.reason
    assert "\n" not in failed.reason
    assert failed.result is None


def test_what_failed_is_tried_again_and_what_diverged_is_not(bench):
    bench.problems["dice", 1] = RuntimeError("no memory")
    bench.problems["ce", 0] = Diverged("nan")
    bench.run()
    bench.problems.clear()
    bench.calls.clear()
    outcome = bench.run()
    assert bench.calls == [("dice", 1)]
    assert (outcome.stored, outcome.measured) == (5, 1)
    # What ended badly in an earlier run is still without a result, and named again.
    assert [(record.label, record.seed) for record in outcome.failed] == [("ce", 0)]


def test_what_is_disturbed_is_measured_again_within_its_round_where_order_matters(bench):
    """Jobs of two runs: rounds of a seed are ended before the next, but others' trials wait."""
    calls, taken = [], [("b", 1)]  # what another runner has claimed at first

    def job(arm, seed):
        trial = SimpleNamespace(key=f"{arm}{seed}", seed=seed, arm=SimpleNamespace(label=arm))
        measurement = MEASUREMENTS["throughput"]
        return Job(trial, "x", measurement, bench.store, bench.folder, "cpu", 0)

    def executor(jobs, progress, stop):
        for each in jobs:
            name = each.trial.arm.label, each.trial.seed
            if name in taken:
                taken.remove(name)
                continue
            calls.append(name)
            disturbed = name == ("a", 0) and calls.count(name) < 3
            status = "invalid" if disturbed else "done"
            yield SimpleNamespace(key=each.trial.key, status=status, attempts=calls.count(name))

    jobs = [job(arm, seed) for seed in range(3) for arm in "ab"]
    progress = SimpleNamespace(finished=lambda record, again: None)
    found = until_stored.measure(jobs, executor, progress, lambda: False, lambda line: None)
    assert calls == [
        ("a", 0), ("b", 0), ("a", 0), ("a", 0), ("a", 1), ("a", 2), ("b", 2), ("b", 1)
    ]  # fmt: skip
    assert {record.status for record in found.values()} == {"done"}
    assert len(found) == 6


def test_what_is_disturbed_is_measured_again_at_once_and_in_the_next_run(bench):
    valid = []

    def measure(settings, seed, context):
        bench.calls.append((settings.train.loss, seed))
        tries = bench.calls.count((settings.train.loss, seed))
        disturbed = settings.train.loss == "dice" and seed < 2 and tries < valid[0][seed]
        problems = ("too warm", f"try {tries}") if disturbed else ()
        return measured(0.1 * tries, problems)

    bench.problems = {}
    bench.measure_with(measure)
    valid.append({0: 3, 1: 5})  # tries until nothing disturbs
    outcome = bench.run()
    assert [bench.calls.count(("dice", seed)) for seed in (0, 1, 2)] == [
        3,
        until_stored.ATTEMPTS,
        1,
    ]
    [failed] = outcome.failed
    assert (failed.label, failed.seed, failed.status) == ("dice", 1, "invalid")
    assert failed.reason == "too warm; try 3"
    assert failed.metric("mean_iou") == pytest.approx(0.3)  # kept, and not hidden
    assert failed.attempts == 3
    assert bench.run().failed == ()
    assert bench.calls.count(("dice", 1)) == 5
    record = bench.store.read(failed.key)
    assert (record.status, record.attempts) == ("done", 5)
    earlier = details_json(bench.store, failed.key)["earlier"]
    assert [one["reason"] for one in earlier] == [f"too warm; try {n}" for n in (1, 2, 3, 4)]
    assert bench.run().measured == 0


def test_a_batch_that_does_not_fit_is_an_answer_about_speed(bench):
    bench.problems["dice", 1] = torch.OutOfMemoryError("CUDA out of memory")
    bench.problems["ce", 0] = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")
    bench.as_throughput()
    outcome = bench.run()
    assert outcome.failed == ()
    states = [bench.store.read(trial.key).status for trial in bench.trials]
    assert sorted(states) == ["done"] * 4 + ["oom"] * 2
    assert bench.run().measured == 0


def test_an_interruption_keeps_what_is_finished(bench):
    bench.problems["ce", 1] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert len(bench.store.keys()) == 2  # both arms of seed 0
    bench.problems.clear()
    bench.calls.clear()
    assert bench.run().stored == 2
    assert len(bench.calls) == 4
