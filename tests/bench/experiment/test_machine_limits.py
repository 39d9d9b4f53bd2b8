"""What a container leaves of a machine, in files as Linux writes them."""

import os
import subprocess
import sys

import pytest

from bench.experiment import machine_limits
from bench.experiment.code_digest import ROOT

# The fixture of all tests replaces it by one core.
usable_cores = machine_limits.usable_cores
GIGABYTE = 2**30


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def written(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "9900000 100000\n"}, 8),
        ({"cpu.max": "100000\n"}, 8),
        ({"cpu.max": "100000 0\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_cores_are_those_that_a_container_may_use(tmp_path, files, cores):
    assert usable_cores(written(tmp_path, files)) == cores


def test_cores_are_those_that_a_process_is_bound_to():
    """Asked of a process that really is bound to one core."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("the system binds no process to a core")
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += "from bench.experiment.machine_limits import usable_cores; print(usable_cores())"
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert output == "1\n"


@pytest.mark.parametrize(
    ("meminfo", "files", "free"),
    [
        ("MemTotal: 9 kB\nMemAvailable:   1048576 kB\n", {}, GIGABYTE),
        ("MemAvailable: 1048576 kB\n", {"memory.max": "max", "memory.current": "7"}, GIGABYTE),
        ("MemAvailable: 1048576 kB\n", {"memory.max": "3000", "memory.current": "1000"}, 2000),
        ("MemAvailable: 1048576 kB\n", {"memory.max": "30", "memory.current": "31"}, 0),
        ("", {}, None),
        (None, {}, None),
        (None, {"memory.max": "3000", "memory.current": "1000"}, 2000),
    ],
)
def test_free_memory_is_what_a_container_leaves(tmp_path, meminfo, files, free):
    path = tmp_path / "meminfo"
    if meminfo is not None:
        path.write_text(meminfo)
    assert machine_limits.free_memory(written(tmp_path, files), path) == free


@pytest.mark.parametrize(
    ("threads", "memory", "workers"),
    [(1, None, 8), (2, None, 4), (3, None, 2), (16, None, 1), (1, 7 * GIGABYTE, 3), (1, 0, 1)],
)
def test_workers_fit_by_cores_and_memory(monkeypatch, threads, memory, workers):
    monkeypatch.setattr(machine_limits, "usable_cores", lambda: 8)
    monkeypatch.setattr(machine_limits, "free_memory", lambda: memory)
    assert machine_limits.workers_that_fit(threads) == workers
