"""Processes that tests start, where measuring waits, hangs or dies as the file ``kind`` says.

Outside pytest importing this is enough, so that worker processes do the same.
"""

import dataclasses
import faulthandler
import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

from bench import __main__
from bench.execution import accuracy
from bench.execution.executors import processes
from bench.execution.job import Job
from bench.experiment import plan
from bench.experiment.config import Experiment
from bench.experiment.context import Measured
from bench.machine import limits
from bench.measurements import MEASUREMENTS
from bench.store.folder import Store
from bench.store.results import AccuracyResult

really = accuracy.measure


def wait_for(condition, seconds=240):
    """Return whether something is so within a time."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def is_alive(pid):
    """Tell whether a process runs; one that nobody has waited for yet is as good as gone."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return done.returncode == 0 and not done.stdout.strip().startswith(b"Z")


def measure(settings, seed, context):
    if context.put.__self__.folder.name == "few":
        return by_seed(seed, context)
    here = context.put.__self__.folder.parents[1]  # of results/small
    kind = (here / "kind").read_text()
    if kind == "slow":
        on_epoch = context.on_epoch

        def slowly(row):
            on_epoch(row)
            (here / f"epoch-{settings.train.loss}-{seed}").write_text(str(row["epoch"]))
            time.sleep(0.3)

        context = dataclasses.replace(context, on_epoch=slowly)
    if (settings.train.loss, seed) == ("dice", 1):
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "hung":
            child = subprocess.Popen(["sleep", "300"])
            (here / "hung").write_text(f"{os.getpid()} {child.pid}")
            time.sleep(300)
        if kind == "oom":
            raise MemoryError("no memory for this")
    return really(settings, seed, context)


if "pytest" not in sys.modules:
    accuracy.measure = measure


def be_started(folder, server):
    """Be a process that somebody started in a folder: what it prints goes to files there.

    It is forked from the server at an address, and so are the workers that it starts.
    """
    os.setsid()
    os.chdir(folder)
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    forkserver._forkserver._forkserver_address = server
    forkserver._forkserver.ensure_running = forkserver.ensure_running = lambda: None


def command(folder, server, arguments):
    """Run a command line in a process of its own."""
    be_started(folder, server)
    limits.usable_cores = lambda: 1  # so that without --jobs trials run in this process
    sys.argv = ["bench", *arguments]
    sys.exit(__main__.main(arguments))


def perform(folder, server, seeds):
    """Perform jobs in fresh worker processes, of which one dies and one takes for ever."""
    be_started(folder, server)
    described = Experiment.model_validate(
        {
            "name": "few",
            "data": {"name": "scenes", "train": 2, "val": 2, "test": 1, "size": 48},
            "seeds": seeds,
        }
    )
    here = Path(folder)
    store = Store(here / "few")
    store.check_writable()
    jobs = [
        Job(trial, "few", MEASUREMENTS["accuracy"], store, here)
        for trial in plan.plan(described, here)
    ]
    for record in processes(jobs, Said(), lambda: False, fresh=True):
        say(f"record {record.seed} {record.status} {record.reason}")


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Said:
    """Prints the progress of jobs."""

    def begun(self, job):
        say(f"begun {job.trial.seed}")

    def epoch(self, job, row):
        say(f"epoch {job.trial.seed} {row['train_loss']}")


def by_seed(seed, context):
    """Measure nothing, or die, or take for ever, as a seed says."""
    here = context.put.__self__.folder.parent
    (here / f"pid-{seed}").write_text(f"{os.getpid()} {os.getppid()}")
    context.on_epoch({"epoch": 1, "train_loss": 0.5})
    match seed:
        case 1:
            os.kill(os.getpid(), signal.SIGKILL)
        case 2:
            time.sleep(600)
        case 3:
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
    result = AccuracyResult(
        classes=("a",), palette=((0, 0, 0),), split="val", chosen_epoch=1, counts={},
        metrics={"mean_iou": 0.25}, checkpoint=context.put(b"x", ".bin"),
    )  # fmt: skip
    return Measured(result, {"history": []})
