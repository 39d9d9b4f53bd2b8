"""Trials in processes of their own: what comes back, and that none is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import types

import pytest
import torch
from rich.console import Console

from bench.errors import UserError
from bench.execution import executors, mps, workers
from bench.execution.progress import Progress
from bench.experiment.code_digest import ROOT
from bench.measurements import MEASUREMENTS
from bench.store.folder import Store
from tests.bench.execution import tricks
from tests.bench.execution.tricks import is_alive, wait_for

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups here")


def test_every_trial_has_a_process_and_every_end_a_record(start, tmp_path):
    start(tricks.perform, tmp_path, [0, 1, 3]).join(240)
    said = (tmp_path / "stdout").read_text().splitlines()
    assert (tmp_path / "stderr").read_text() == ""
    assert [line for line in said if line.startswith("record")] == [
        "record 0 done None",
        "record 1 killed the process was ended by SIGKILL (the system does so when memory runs out)",
        "record 3 killed the process was ended by SIGSEGV",
    ]
    assert said.count("epoch 0 0.5") == said.count("begun 0") == 1
    pids = [(tmp_path / f"pid-{seed}").read_text().split() for seed in (0, 1, 3)]
    assert len({pid for pid, _ in pids}) == 3
    assert len({parent for _, parent in pids}) == 1
    store = Store(tmp_path / "few")
    records = {record.seed: record for record in store.records()}
    statuses = {0: "done", 1: "killed", 3: "killed"}
    assert {seed: record.status for seed, record in records.items()} == statuses
    assert store.blob(records[0].accuracy.checkpoint) == b"x"


@pytest.mark.parametrize("number", ["SIGINT", "SIGKILL"])
def test_no_process_outlives_its_parent(start, tmp_path, number):
    parent = start(tricks.perform, tmp_path, [2])
    marked = tmp_path / "pid-2"
    assert wait_for(lambda: marked.is_file() and marked.read_text())
    child = int(marked.read_text().split()[0])
    assert is_alive(child)
    os.kill(parent.pid, getattr(signal, number))
    parent.join(240)
    assert wait_for(lambda: not is_alive(child))
    assert parent.exitcode not in (0, None)
    errors = (tmp_path / "stderr").read_text()
    assert errors.count("Traceback") == (number == "SIGINT")  # the parent's, and no second one
    assert list(Store(tmp_path / "few").keys()) == []


LOOK = """
import os, sys
import torch
from bench.execution import processes

def look(pipe):
    threads = len(os.listdir(f"/proc/{os.getppid()}/task"))
    loaded = all(name in sys.modules for name in processes.PRELOADED)
    cuda = torch.cuda.is_initialized() or torch.cuda._is_in_bad_fork()
    pipe.send((os.getppid(), threads, loaded, cuda))
"""
# Without a guard: no process that it starts runs it again.
FORKED = """
from multiprocessing import Pipe
from bench.execution import processes
from looks import look

for _ in range(2):
    ours, theirs = Pipe()
    processes.start_process(look, theirs).join()
    print(*ours.recv())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_a_process_is_forked_from_one_that_has_imported_torch_and_done_nothing(tmp_path):
    script = tmp_path / "forked.py"
    script.write_text(FORKED)
    (tmp_path / "looks.py").write_text(LOOK)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    first, second = (line.split() for line in done.stdout.splitlines())
    assert first == second  # one server, which has imported all that
    assert first[1:] == ["1", "True", "False"]  # threads, modules loaded, CUDA asked for


ACCURACY, THROUGHPUT = MEASUREMENTS["accuracy"], MEASUREMENTS["throughput"]


def chosen(measurement, device, **options):
    given = {"asked": device, "jobs": None, "timeout": None, "address": None, **options}
    return executors.choose("local", measurement, torch.device(device), **given)


@pytest.mark.parametrize(
    ("measurement", "device", "options", "fresh"),
    [
        (ACCURACY, "cpu", {"jobs": 2}, False),
        (ACCURACY, "cuda", {}, True),
        (ACCURACY, "cuda:1", {}, True),
        (ACCURACY, "cuda", {"jobs": 2}, True),
        (ACCURACY, "cuda:0", {"timeout": 60.0}, True),
        (THROUGHPUT, "cpu", {}, True),
        (THROUGHPUT, "cuda", {}, True),
    ],
)
def test_on_cuda_every_trial_has_a_process_of_its_own(
    monkeypatch, measurement, device, options, fresh
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = chosen(measurement, device, **options)
    assert found.func is executors.processes
    assert found.keywords["fresh"] == fresh


def test_on_a_cpu_one_trial_after_the_other_is_measured_here():
    assert chosen(ACCURACY, "cpu") is executors.in_process


@pytest.mark.parametrize(
    ("asked", "cluster", "measurement", "gpus"),
    [
        ("cpu", {"GPU": 4.0}, ACCURACY, 0),
        ("cpu", {"GPU": 4.0}, THROUGHPUT, 0),
        ("auto", {}, ACCURACY, 0),
        ("auto", {"GPU": 4.0}, ACCURACY, 0.5),
        ("auto", {"GPU": 4.0}, THROUGHPUT, 1),
        ("cuda", {}, ACCURACY, 0.5),  # until a node with one joins
    ],
)
def test_a_cluster_is_asked_for_gpus_where_the_user_is(
    monkeypatch, asked, cluster, measurement, gpus
):
    ray = types.SimpleNamespace(init=lambda **_: None, cluster_resources=lambda: cluster)
    monkeypatch.setitem(sys.modules, "ray", ray)
    given = {"asked": asked, "jobs": 2, "timeout": None, "address": None}
    found = executors.choose("ray", measurement, torch.device("cpu"), **given)
    assert found.keywords["gpus"] == gpus
    assert found.keywords["fresh"] == (gpus > 0 or measurement is THROUGHPUT)


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


@pytest.mark.parametrize(
    ("device", "jobs", "options", "measure", "chosen"),
    [
        ("cpu", None, {}, "accuracy", None),
        ("cpu", 3, {}, "accuracy", [None] * 3),
        ("cuda:1", 2, {"mps_mode": "off"}, "accuracy", [None] * 2),
        ("cuda", 2, {}, "accuracy", ["cuda:0", "cuda:1"]),
        ("cuda", 3, {}, "accuracy", "shared"),
        ("cuda:1", 2, {}, "accuracy", "shared"),
        ("cuda:1", 2, {"mps_mode": "on"}, "accuracy", "shared"),
        ("cuda", 2, {}, "throughput", ["cuda:0", "cuda:1"]),
        ("cpu", 2, {"mps_mode": "on"}, "accuracy", [None] * 2),
    ],
)
def test_jobs_are_dealt_to_gpus_and_share_them_only_where_there_are_more(
    monkeypatch, device, jobs, options, measure, chosen
):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    given = {"jobs": jobs, "timeout": None, "address": None, **options}
    executor = executors.choose("local", MEASUREMENTS[measure], torch.device(device), **given)
    if chosen is None:
        assert executor is executors.in_process
    elif chosen == "shared":
        assert executor.func is not executors.processes
    else:
        assert (executor.func, executor.keywords["devices"]) == (executors.processes, chosen)


def test_what_is_timed_shares_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    given = {"jobs": 3, "timeout": None, "address": None}
    with pytest.raises(UserError, match="needs a device of its own"):
        executors.choose("local", MEASUREMENTS["throughput"], torch.device("cuda"), **given)
    for device, measure in (("cuda:1", "accuracy"), ("cuda", "throughput"), ("cpu", "throughput")):
        measurement = MEASUREMENTS[measure]
        assert executors.jobs_that_fit(measurement, torch.device(device), threads=1) is None


def test_all_gpus_are_used_unless_one_is_named(monkeypatch):
    accuracy = MEASUREMENTS["accuracy"]
    for count, jobs in ((8, 8), (1, None)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert executors.jobs_that_fit(accuracy, torch.device("cuda"), threads=1) == jobs


def test_workers_that_share_a_gpu_find_the_daemon_and_it_ends_with_them(monkeypatch):
    seen = []

    @contextlib.contextmanager
    def shared(mode, say):
        seen.append(mode)
        yield
        seen.append("ended")

    def perform(jobs, progress, stop):
        seen.append(list(jobs))
        yield "record"

    monkeypatch.setattr(mps, "shared_gpus", shared)
    progress = Progress(Console(quiet=True))
    assert list(executors._sharing_gpus(perform, "on", [], progress, lambda: False)) == []
    assert list(executors._sharing_gpus(perform, "on", [1], progress, lambda: False)) == ["record"]
    assert seen == ["on", [1], "ended"]
