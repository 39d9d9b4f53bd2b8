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

# A fresh process imports the main script again, so that what is patched in it is patched there too.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from bench.execution import accuracy
from bench.execution.executors import processes
from bench.execution.job import Job
from bench.experiment import plan
from bench.experiment.config import Experiment
from bench.experiment.context import Measured
from bench.measurements import MEASUREMENTS
from bench.store.folder import Store
from bench.store.results import AccuracyResult

FOLDER = Path(sys.argv[1])

def measure(settings, seed, context):
    (FOLDER / f"pid-{seed}").write_text(f"{os.getpid()} {os.getppid()}")
    context.on_epoch({"epoch": 1, "train_loss": 0.5})
    match seed:
        case 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case 2:
            time.sleep(600)
    result = AccuracyResult(
        classes=("a",), palette=((0, 0, 0),), split="val", chosen_epoch=1, counts={},
        metrics={"mean_iou": 0.25}, checkpoint=context.put(b"x", ".bin"),
    )
    return Measured(result, {"history": []})

accuracy.measure = measure

class Progress:
    def begun(self, job):
        print("begun", job.trial.seed, flush=True)

    def epoch(self, job, row):
        print("epoch", job.trial.seed, row["train_loss"], flush=True)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    described = Experiment.model_validate({
        "name": "small", "data": {"name": "scenes", "train": 2, "val": 2, "test": 1, "size": 48},
        "seeds": [int(seed) for seed in sys.argv[2:]],
    })
    store = Store(FOLDER / "small")
    jobs = [
        Job(trial, "small", MEASUREMENTS["accuracy"], store, FOLDER)
        for trial in plan.plan(described, FOLDER)
    ]
    for record in processes(jobs, Progress(), lambda: False, fresh=True):
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


def wait_for(condition, seconds=240):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_every_trial_has_a_process_and_every_end_a_record(start, tmp_path):
    output, errors = start(0, 1).communicate(timeout=240)
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
    assert store.blob(records[0].accuracy.checkpoint) == b"x"


@pytest.mark.parametrize("number", ["SIGINT", "SIGKILL"])
def test_no_process_outlives_its_parent(start, tmp_path, number):
    parent = start(2)
    marked = tmp_path / "pid-2"
    assert wait_for(lambda: marked.is_file() and marked.read_text())
    child = int(marked.read_text().split()[0])
    assert is_alive(child)
    parent.send_signal(getattr(signal, number))
    _, errors = parent.communicate(timeout=240)
    assert wait_for(lambda: not is_alive(child))
    assert parent.returncode != 0
    assert errors.count("Traceback") == (number == "SIGINT")  # the parent's, and no second one
    assert list(Store(tmp_path / "small").keys()) == []


FORKED = """
import os, sys, time
import torch
from bench.execution import workers

def look(pipe):
    threads = len(os.listdir(f"/proc/{os.getppid()}/task"))
    loaded = all(name in sys.modules for name in workers.PRELOADED)
    pipe.send((os.getppid(), threads, loaded, torch.cuda.is_initialized()))

if __name__ == "__main__":
    from multiprocessing import Pipe

    for _ in range(2):
        ours, theirs = Pipe()
        started = time.monotonic()
        workers._started(look, theirs).join()
        print(*ours.recv(), time.monotonic() - started)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_a_process_is_forked_from_one_that_has_imported_torch_and_done_nothing(tmp_path):
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    first, second = (line.split() for line in done.stdout.splitlines())
    assert first[:4] == second[:4]  # one server
    assert first[1:4] == ["1", "True", "False"]  # threads, modules loaded, CUDA in use
    assert float(second[4]) < 2  # importing torch and the rest takes longer


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
