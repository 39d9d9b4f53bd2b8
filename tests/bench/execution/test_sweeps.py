"""`run` as a lab uses it: in worker processes, interrupted, limited in time, beside another."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.execution import accuracy
from bench.execution import budget as time_budget
from bench.execution.budget import Budget
from bench.experiment.code_digest import ROOT
from bench.machine import limits
from bench.store.folder import Store
from tests.bench.execution import tricks
from tests.bench.execution.tricks import is_alive, wait_for
from tests.bench.made_stores import details_json

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


class Sweep:
    """A folder with an experiment, and the command line that runs it."""

    def __init__(self, folder, start):
        self.folder = folder
        self.begin = start
        (folder / "small.yaml").write_text(EXPERIMENT)
        self.kind("plain")
        self.store = Store(folder / "results" / "small")

    def kind(self, kind):
        (self.folder / "kind").write_text(kind)

    def start(self, *options):
        """Start a run in a process of its own."""
        return self.begin(tricks.command, self.folder, ["run", "small.yaml", *map(str, options)])

    def end(self, process):
        """Wait for a run that was started; return its exit status and its errors."""
        process.join(200)
        return process.exitcode, (self.folder / "stderr").read_text()

    def run(self, *options):
        """Run in this process, and return the exit status and what was printed."""
        command = ["run", self.folder / "small.yaml", "--results", self.folder / "results"]
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(accuracy, "measure", tricks.measure)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                status = main([*map(str, [*command, *options])])
        return status, out.getvalue(), err.getvalue()

    def statuses(self):
        return sorted((r.label, r.seed, r.status, r.attempts) for r in self.store.records())

    def weights(self):
        """Everything that is stored, but for times."""
        found = {}
        for record in self.store.records():
            details = details_json(self.store, record.key)
            for row in details["history"]:
                del row["seconds"]
            result = record.accuracy.model_dump(exclude={"training_seconds"})
            found[record.key] = result, details
        return found


@pytest.fixture
def sweep(tmp_path, start):
    return Sweep(tmp_path, start)


DONE = [("ce", 0, "done", 1), ("ce", 1, "done", 1), ("dice", 0, "done", 1), ("dice", 1, "done", 1)]


@pytest.fixture(scope="module")
def reference(tmp_path_factory, start):
    """What a run in one process stores."""
    sweep = Sweep(tmp_path_factory.mktemp("reference"), start)
    status, out, err = sweep.run()
    assert (status, err) == (0, ""), err
    assert "[4/4]" in out
    return sweep.weights()


@pytest.mark.parametrize("options", [("--jobs", 2), ()], ids=["asked for", "two cores"])
def test_results_do_not_depend_on_the_number_of_processes(sweep, reference, options, monkeypatch):
    monkeypatch.setattr(limits, "usable_cores", lambda: 2)
    status, out, err = sweep.run(*options)
    assert (status, err) == (0, "")
    assert "[4/4]" in out
    assert sweep.statuses() == DONE
    assert sweep.weights() == reference


@pytest.mark.parametrize(
    ("options", "number"),
    [((), signal.SIGINT), (("--jobs", 2), signal.SIGTERM)],
    ids=["in-process", "jobs"],
)
def test_an_interruption_keeps_the_state_and_says_how_to_go_on(sweep, reference, options, number):
    sweep.kind("slow")
    process = sweep.start(*options)
    assert wait_for(lambda: any(sweep.folder.glob("epoch-*")))
    os.kill(process.pid, number)
    status, err = sweep.end(process)
    assert status == 130
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


def test_a_budget_stops_workers_and_the_same_command_goes_on(sweep, reference, monkeypatch):
    def begin(text):
        """Return a budget that ends with the first epoch of any trial."""
        return Budget(text, 1, 1, clock=lambda: len(list(sweep.folder.glob("epoch-*"))))

    monkeypatch.setattr(time_budget, "begin", begin)
    sweep.kind("slow")
    status, _, err = sweep.run("--jobs", 2, "--budget", "6h")
    assert status == 3
    told, command = err.strip().split(" To go on: ")
    assert re.fullmatch(
        r"warning: the budget of 6h is spent; 4 of 4 trials are left \([12] begun\); "
        r"seeds measured with every arm: none yet\.",
        told,
    )
    assert command.startswith("python -m bench run ")
    assert command.endswith("--jobs 2 --budget 6h")
    assert sweep.store.read_plan().command.endswith("--jobs 2")
    assert 1 <= len(list((sweep.store.folder / "partial").iterdir())) <= 2
    monkeypatch.undo()
    sweep.kind("plain")
    assert sweep.run("--jobs", 2, "--budget", "6h")[0] == 0
    assert sweep.weights() == reference


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("options", [(), ("--jobs", 2)], ids=["in-process", "jobs"])
def test_a_run_whose_terminal_goes_keeps_the_state(sweep, reference, options):
    for name in ("stdout", "stderr"):
        (sweep.folder / name).symlink_to("/dev/full")
    sweep.kind("slow")
    process = sweep.start(*options)
    assert wait_for(lambda: any(sweep.folder.glob("epoch-*")))
    for _ in range(2):  # from the terminal, and from the shell
        os.killpg(process.pid, signal.SIGHUP)
    process.join(200)
    assert process.exitcode == 130
    assert list((sweep.store.folder / "partial").iterdir())
    assert list((sweep.store.folder / "claims").iterdir()) == []
    sweep.kind("plain")
    status, _, err = sweep.run()
    assert (status, err) == (0, "")
    assert sweep.weights() == reference


def test_a_second_interruption_stops_at_once(sweep):
    sweep.kind("slow")
    process = sweep.start("--jobs", 2)
    assert wait_for(lambda: any(sweep.folder.glob("epoch-*")))
    for _ in range(2):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.2)
    status, err = sweep.end(process)
    assert status == 130
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
    assert sweep.end(process)[0] == -signal.SIGKILL
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
            sweep.store.commit(killed.model_copy(update={"attempts": before}), {})
        status, _, err = sweep.run("--jobs", 2)
        assert status == 1
        assert err.startswith(expected)
        assert sweep.statuses() == [*DONE[:-1], ("dice", 1, "killed", after)]


def test_a_trial_that_hangs_is_ended_with_all_that_it_started(sweep):
    sweep.kind("hung")
    status, _, err = sweep.run("--timeout", 6)
    assert status == 1
    assert err == "error: dice, seed 1: timeout: took longer than 6 s\n"
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
    other = sweep.start()
    assert wait_for(lambda: any(sweep.folder.glob("epoch-*")))
    status, _, err = sweep.run()
    assert (status, err) == (0, "")
    assert sweep.end(other) == (0, "")
    assert sweep.statuses() == DONE
    assert sweep.weights() == reference


# Runs commands one after the other; prints status, errors and stored trials after each.
COMMANDS = """
import contextlib, io, json, pathlib, sys
from bench.__main__ import main
from bench.machine import limits
from bench.report.document import Document
limits.usable_cores = lambda: 1  # so that no further processes start
Document.figures = {}  # which take most of the time of a report
for command in json.loads(sys.argv[1]):
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        status = main(command)
    keys = [path.stem for path in pathlib.Path("results/small/trials").iterdir()]
    print(json.dumps([status, err.getvalue(), keys]))
"""


def test_results_of_other_code_are_kept_apart_or_taken_as_they_are(sweep):
    copy = sweep.folder / "copy"  # of the code, to be changed
    for package in ("bench", "unet"):
        shutil.copytree(ROOT / package, copy / package)
    assert sweep.run("--quiet")[0] == 0
    before = sweep.store.keys()
    with (copy / "bench" / "training" / "losses.py").open("a") as file:
        file.write("\nVERSION = 2\n")
    run = ["run", "small.yaml", "--quiet"]
    commands = [[*run, "--accept-stale"], ["report", "--format", "md"], run]
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=sweep.folder,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=True,
    )
    taken, reported, measured = map(json.loads, done.stdout.splitlines())
    said = "warning: 4 trials stored for other code: taken as they are (--accept-stale)\n"
    assert taken[:2] == [0, said]
    assert set(taken[2]) == before
    assert reported[:2] == [0, ""]
    report = (sweep.store.folder / "report" / "report.md").read_text(encoding="utf-8")
    assert "4 of 4 trials were measured with different code and accepted as they are" in report
    status, err, keys = measured
    assert status == 0
    assert re.match(
        r"warning: 4 trials stored for other code: measured again \(kept in .*archive", err
    )
    assert len(keys) == 4
    assert not set(keys) & before
    assert sweep.run("--quiet")[0] == 0  # with the first version again
    assert sweep.store.keys() == before
