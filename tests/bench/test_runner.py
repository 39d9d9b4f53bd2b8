"""Skip what is stored, measure the rest, and keep going; also after a kill."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from bench import plan, runner
from bench.accuracy import Measurement
from bench.config import Experiment
from bench.errors import UserError
from bench.progress import Progress
from bench.records import Store
from bench.sources import ROOT
from bench.train import Diverged

EXPERIMENT = {
    "name": "small",
    "data": {"name": "scenes", "train": 2, "val": 2, "test": 1, "size": 48},
    "factors": {"train.loss": ["ce", "dice"]},
    "seeds": [0, 1, 2],
}


class Bench:
    """An experiment with a store and a stand-in for measuring that counts its calls."""

    def __init__(self, folder, monkeypatch):
        self.described = Experiment.model_validate(EXPERIMENT)
        self.trials = plan.plan(self.described, folder)
        self.store = Store(folder / "small")
        self.folder = folder
        self.calls = []
        self.problems = {}
        monkeypatch.setitem(runner.MEASURES, "accuracy", self.measure)

    def measure(self, settings, seed, **rest):
        self.calls.append((settings.train.loss, seed))
        problem = self.problems.get((settings.train.loss, seed))
        if problem is not None:
            raise problem
        value = seed + (settings.train.loss == "dice")
        scores = {"mean_iou": value / 10, "classes_averaged": 3}
        return Measurement({"metrics": scores}, {"history": []})

    def run(self):
        return runner.run(
            self.described,
            self.trials,
            self.store,
            root=self.folder,
            device=torch.device("cpu"),
            workers=0,
            progress=Progress(),
        )


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


@pytest.mark.parametrize(
    ("problem", "status", "reason"),
    [
        (Diverged("the training loss is nan in epoch 3"), "diverged", "loss is nan in epoch 3"),
        (torch.OutOfMemoryError("CUDA out of memory.\n tried"), "oom", "out of memory. tried"),
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
    assert failed.result == {}


def test_what_failed_is_tried_again_and_what_diverged_is_not(bench):
    bench.problems["dice", 1] = RuntimeError("no memory")
    bench.problems["ce", 0] = Diverged("nan")
    bench.run()
    bench.problems.clear()
    bench.calls.clear()
    outcome = bench.run()
    assert bench.calls == [("dice", 1)]
    assert outcome.failed == ()


def test_an_interruption_keeps_what_is_finished(bench):
    bench.problems["ce", 1] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        bench.run()
    assert len(bench.store.keys()) == 2  # both arms of seed 0
    bench.problems.clear()
    bench.calls.clear()
    assert bench.run().stored == 2
    assert len(bench.calls) == 4


SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
from bench import plan, runner
from bench.accuracy import Measurement
from bench.config import Experiment
from bench.progress import Progress
from bench.records import Store

folder, allowed = Path(sys.argv[1]), int(sys.argv[2])
described = Experiment.model_validate({experiment!r})
calls = 0
def measure(settings, seed, **rest):
    global calls
    if calls == allowed:
        os.kill(os.getpid(), signal.SIGKILL)
    calls += 1
    (folder / f"{{settings.train.loss}}-{{seed}}").open("a").write("x")
    return Measurement({{"metrics": {{"mean_iou": 0.5, "classes_averaged": 1}}}}, {{}})
runner.MEASURES["accuracy"] = measure
runner.run(described, plan.plan(described, folder), Store(folder / "small"), root=folder,
           device=torch.device("cpu"), workers=0, progress=Progress())
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_after_a_kill_nothing_is_measured_twice(tmp_path):
    script = SCRIPT.format(experiment=EXPERIMENT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(allowed):
        command = [sys.executable, "-c", script, str(tmp_path), str(allowed)]
        return subprocess.run(command, env=environment, check=False).returncode

    assert start(4) == -signal.SIGKILL
    assert len(Store(tmp_path / "small").keys()) == 4
    assert start(99) == 0
    assert len(Store(tmp_path / "small").keys()) == 6
    measured = [path for path in tmp_path.iterdir() if path.is_file()]
    assert len(measured) == 6
    assert all(path.read_text() == "x" for path in measured)
