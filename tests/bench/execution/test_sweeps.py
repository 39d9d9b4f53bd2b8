"""`run` as a lab uses it: in worker processes, interrupted, limited in time, beside another."""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from bench.experiment.code_digest import ROOT
from bench.store.folder import Store

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")

EXPERIMENT = """
name: small
data: {name: scenes, train: 4, val: 2, test: 1, size: 48}
model: {base_channels: 2, depth: 1}
train: {crop_size: 32, batch_size: 2, epochs: 6, learning_rate: 1.0e-2, threads: 1}
evaluate: {panels: 1}
factors: {train.loss: [ce, dice]}
seeds: 2
baseline: {train.loss: ce}
"""

# Worker processes import the main script again, so that what is patched in it holds there too.
SCRIPT = """
import os, signal, subprocess, sys, time
from pathlib import Path
from bench import __main__, accuracy, measuring
from bench.trial import Measurement

def measure(settings, seed, *, on_epoch, checkpointer, **rest):
    kind = (HERE / "kind").read_text()
    if kind == "slow" or (kind == "one slow" and settings.train.loss == "dice" and seed == 1):
        on_epoch_before = on_epoch
        def on_epoch(row):
            on_epoch_before(row)
            (HERE / f"epoch-{settings.train.loss}-{seed}").write_text(str(row["epoch"]))
            time.sleep(0.4)
    if (settings.train.loss, seed) == ("dice", 1):
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "hung":
            child = subprocess.Popen(["sleep", "300"])
            (HERE / "hung").write_text(f"{os.getpid()} {child.pid}")
            time.sleep(300)
        if kind == "oom":
            raise MemoryError("no memory for this")
    return accuracy.measure(settings, seed, on_epoch=on_epoch, checkpointer=checkpointer, **rest)

HERE = Path(__file__).parent
measuring.MEASURES["accuracy"] = measure
if __name__ == "__main__":
    sys.exit(__main__.main(sys.argv[1:]))
"""


class Sweep:
    """A folder with an experiment, and the command line that runs it."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "small.yaml").write_text(EXPERIMENT)
        (folder / "bench_script.py").write_text(SCRIPT)
        self.kind("plain")
        self.store = Store(folder / "results" / "small")

    def kind(self, kind):
        (self.folder / "kind").write_text(kind)

    def start(self, *options):
        command = [sys.executable, "bench_script.py", "run", "small.yaml", *map(str, options)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GOMP_SPINCOUNT": "20000"}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *options):
        process = self.start(*options)
        out, err = process.communicate(timeout=200)
        return process.returncode, out, err

    def statuses(self):
        return sorted((r.label, r.seed, r.status, r.attempts) for r in self.store.records())

    def weights(self):
        """Everything that is stored, but for times."""
        found = {}
        for record in self.store.records():
            details = self.store.details(record.key)
            for row in details["history"]:
                del row["seconds"]
            result = {name: v for name, v in record.result.items() if name != "training_seconds"}
            found[record.key] = result, details
        return found


@pytest.fixture
def sweep(tmp_path):
    return Sweep(tmp_path)


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def is_alive(pid):
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return done.returncode == 0 and not done.stdout.strip().startswith(b"Z")


DONE = [("ce", 0, "done", 1), ("ce", 1, "done", 1), ("dice", 0, "done", 1), ("dice", 1, "done", 1)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What a run in one process stores."""
    sweep = Sweep(tmp_path_factory.mktemp("reference"))
    status, out, err = sweep.run()
    assert (status, err) == (0, ""), err
    assert "[4/4]" in out
    return sweep.weights()


def test_results_do_not_depend_on_the_number_of_processes(sweep, reference):
    status, out, err = sweep.run("--jobs", 2)
    assert (status, err) == (0, "")
    assert "[4/4]" in out
    assert sweep.statuses() == DONE
    assert sweep.weights() == reference


@pytest.mark.parametrize(
    ("options", "number"),
    [((), signal.SIGINT), (("--jobs", 2), signal.SIGTERM)],
    ids=["here", "jobs"],
)
def test_an_interruption_keeps_the_state_and_says_how_to_go_on(sweep, reference, options, number):
    sweep.kind("slow")
    process = sweep.start(*options)
    assert wait_for(lambda: any(sweep.folder.glob("epoch-*")))
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    told, interrupted = err.splitlines()
    assert told.startswith(
        f"warning: {signal.Signals(number).name}: stopping at the end of the epoch"
    )
    assert "what is finished is stored. To go on: python -m bench run small.yaml" in interrupted
    kept = list((sweep.store.folder / "partial").iterdir())
    assert 1 <= len(kept) <= (2 if options else 1)
    assert sweep.store.keys() == set()
    assert list((sweep.store.folder / "claims").iterdir()) == []
    sweep.kind("plain")
    status, _, err = sweep.run()
    assert (status, err) == (0, "")
    assert sweep.weights() == reference
    assert list((sweep.store.folder / "partial").iterdir()) == []


def test_a_second_interruption_stops_at_once(sweep):
    sweep.kind("slow")
    process = sweep.start("--jobs", 2)
    assert wait_for(lambda: any(sweep.folder.glob("epoch-*")))
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("error: interrupted; what is finished is stored")
    sweep.kind("plain")
    assert sweep.run()[0] == 0
    assert sweep.statuses() == DONE


def test_killed_with_its_workers_a_run_loses_and_leaves_nothing(sweep, reference):
    sweep.kind("slow")
    process = sweep.start("--jobs", 2)
    assert wait_for(lambda: len(list(sweep.folder.glob("epoch-*"))) == 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    sweep.kind("plain")
    status, _, err = sweep.run("--jobs", 2)
    assert (status, err) == (0, "")
    assert sweep.statuses() == DONE
    assert sweep.weights() == reference
    assert list(sweep.store.folder.rglob(".tmp-*")) == []


def test_a_trial_that_is_killed_says_so_and_is_not_tried_for_ever(sweep):
    sweep.kind("killed")
    expected = "error: dice, seed 1: killed: the process was ended by SIGKILL"
    for before, after in ((None, 1), (2, 3), (3, 3)):
        if before is not None:
            killed = next(r for r in sweep.store.records() if r.status == "killed")
            sweep.store.commit(dataclasses.replace(killed, attempts=before), {})
        status, _, err = sweep.run("--jobs", 2)
        assert status == 1
        assert err.startswith(expected)
        assert sweep.statuses() == [*DONE[:-1], ("dice", 1, "killed", after)]


def test_a_trial_that_hangs_is_ended_with_all_that_it_started(sweep):
    sweep.kind("hung")
    status, _, err = sweep.run("--timeout", 20)
    assert status == 1
    assert err == "error: dice, seed 1: timeout: took longer than 20 s\n"
    assert sweep.statuses() == [*DONE[:-1], ("dice", 1, "timeout", 1)]
    pids = (sweep.folder / "hung").read_text().split()
    assert len(pids) == 2
    assert wait_for(lambda: not any(map(is_alive, pids)), 10)


def test_a_trial_without_memory_says_so(sweep):
    sweep.kind("oom")
    status, _, err = sweep.run()
    assert (status, err) == (1, "error: dice, seed 1: oom: MemoryError: no memory for this\n")
    assert sweep.statuses()[-1] == ("dice", 1, "oom", 1)


def test_two_runs_share_a_folder(sweep, reference):
    sweep.kind("slow")
    runs = [sweep.start() for _ in range(2)]
    for run in runs:
        _, err = run.communicate(timeout=200)
        assert (run.returncode, err) == (0, "")
    assert sweep.statuses() == DONE
    assert sweep.weights() == reference


def test_results_of_other_code_are_kept_apart_or_taken_as_they_are(sweep):
    copy = sweep.folder / "copy"  # of the code, to be changed
    shutil.copytree(ROOT / "bench", copy / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "unet", copy / "unet", ignore=shutil.ignore_patterns("__pycache__"))
    assert sweep.run("--quiet")[0] == 0
    before = sweep.store.keys()
    with (copy / "bench" / "losses.py").open("a") as file:
        file.write("\nVERSION = 2\n")
    environment = {**os.environ, "PYTHONPATH": str(copy)}

    def run(*arguments):
        command = [sys.executable, "-m", "bench", *arguments]
        done = subprocess.run(
            command, cwd=sweep.folder, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stderr

    status, err = run("run", "small.yaml", "--quiet", "--accept-stale")
    assert status == 0
    assert err == "warning: 4 trials stored for other code: taken as they are (--accept-stale)\n"
    assert sweep.store.keys() == before
    assert run("report") == (0, "")
    report = (sweep.store.folder / "report" / "report.md").read_text(encoding="utf-8")
    assert "4 of 4 trials were measured with other code and taken as they are" in report
    status, err = run("run", "small.yaml", "--quiet")
    assert status == 0
    assert re.match(
        r"warning: 4 trials stored for other code: measured again \(kept in .*archive", err
    )
    assert len(sweep.store.keys()) == 4
    assert not sweep.store.keys() & before
    assert sweep.run("--quiet")[0] == 0  # with the first version again
    assert sweep.store.keys() == before
