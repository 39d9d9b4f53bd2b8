"""Trials in processes of their own: what comes back, and that none is left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from bench.execution import workers
from bench.experiment.code_digest import ROOT
from bench.store.folder import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")

# A fresh process imports the main script again, so that what is patched in it holds there too.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from bench import measuring, plan
from bench.config import Experiment
from bench.executors import fresh_processes
from bench.trial import Measurement

FOLDER = Path(sys.argv[1])

def measure(settings, seed, *, on_epoch, put, **rest):
    (FOLDER / f"pid-{seed}").write_text(f"{os.getpid()} {os.getppid()}")
    on_epoch({"epoch": 1, "train_loss": 0.5})
    match seed:
        case 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case 2:
            time.sleep(600)
    return Measurement({"metrics": {"mean_iou": 0.25}, "blob": put(b"x", ".bin")}, {"history": []})

measuring.MEASURES["accuracy"] = measure

class Watcher:
    def begun(self, job):
        print("begun", job.trial.seed, flush=True)

    def epoch(self, job, row):
        print("epoch", job.trial.seed, row["train_loss"], flush=True)

if __name__ == "__main__":
    described = Experiment.model_validate({
        "name": "small", "data": {"name": "scenes", "train": 2, "val": 2, "test": 1, "size": 48},
        "seeds": [int(seed) for seed in sys.argv[2:]],
    })
    jobs = [
        measuring.Job(t, "small", "accuracy", FOLDER / "small", FOLDER, "cpu", 0)
        for t in plan.plan(described, FOLDER)
    ]
    for record in fresh_processes(jobs, Watcher()):
        print("record", record.seed, record.status, record.reason, flush=True)
"""


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the script on some seeds; whatever it leaves is ended."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = []

    def start(*seeds):
        command = [sys.executable, str(script), str(tmp_path), *map(str, seeds)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that nobody has waited for yet is as good as gone.
    return (
        "Z"
        not in subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
    )


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_every_trial_has_a_process_and_every_end_a_record(start, tmp_path):
    output, errors = start(0, 1).communicate(timeout=120)
    said = output.splitlines()
    assert errors == ""
    assert [line for line in said if line.startswith("record")] == [
        "record 0 done None",
        "record 1 killed the process was ended by SIGKILL (the system does so when memory runs out)",
    ]
    assert said.count("epoch 0 0.5") == said.count("begun 0") == 1
    pids = [(tmp_path / f"pid-{seed}").read_text().split() for seed in (0, 1)]
    assert len({pid for pid, _ in pids}) == 2
    assert len({parent for _, parent in pids}) == 1
    store = Store(tmp_path / "small")
    records = {record.seed: record for record in store.records()}
    assert {seed: record.status for seed, record in records.items()} == {0: "done", 1: "killed"}
    assert store.blob(records[0].result["blob"]) == b"x"


@pytest.mark.parametrize("number", ["SIGINT", "SIGKILL"])
def test_no_process_outlives_its_parent(start, tmp_path, number):
    parent = start(2)
    marked = tmp_path / "pid-2"
    assert wait_for(lambda: marked.is_file() and marked.read_text())
    child = int(marked.read_text().split()[0])
    assert is_alive(child)
    parent.send_signal(getattr(signal, number))
    _, errors = parent.communicate(timeout=60)
    assert wait_for(lambda: not is_alive(child))
    assert parent.returncode != 0
    assert errors.count("Traceback") == (number == "SIGINT")  # the parent's, and no second one
    assert list(Store(tmp_path / "small").keys()) == []


@pytest.mark.parametrize(
    ("exitcode", "status", "words"),
    [
        (-9, "killed", "SIGKILL (the system does so when memory runs out)"),
        (-11, "killed", "ended by SIGSEGV"),
        (1, "failed", "status 1"),
        (0, "failed", "status 0 and left no record"),
    ],
)
def test_causes(exitcode, status, words):
    found, reason = workers.cause(exitcode)
    assert found == status
    assert words in reason
