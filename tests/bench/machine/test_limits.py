"""What a container leaves of a machine, in files as Linux writes them."""

import os
import subprocess
import sys

import pytest

from bench.experiment.code_digest import ROOT
from bench.machine import limits
from bench.machine.limits import Cores, Memory

GIGABYTE = 2**30


def written(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


@pytest.fixture
def groups(tmp_path):
    """Return a function: /proc/self/cgroup, files below /sys/fs/cgroup → those two folders."""

    def make(own, files):
        proc, top = tmp_path / "proc", tmp_path / "cgroup"
        written(proc, {"self/cgroup": own})
        written(top, files)
        return proc, top

    return make


@pytest.mark.parametrize(
    ("own", "files", "quota"),
    [
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        # The parent's quota holds too, and the path of a host is not there in a container.
        ("0::/a/b", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "400000 100000"}, 1.0),
        ("0::/docker/0f0f", {"cpu.max": "200000 100000"}, 2.0),
        (
            "4:memory:/\n2:cpu,cpuacct:/x",
            {"cpu,cpuacct/x/cpu.cfs_quota_us": "-1", "cpu,cpuacct/x/cpu.cfs_period_us": "100000"},
            None,
        ),
        (
            "2:cpu,cpuacct:/x",
            {
                "cpu,cpuacct/x/cpu.cfs_quota_us": "50000",
                "cpu,cpuacct/x/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        (
            "1:cpu:/x\n0::/",
            {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ("3:cpuset:/x", {"cpu.max": "50000 100000"}, None),  # another controller
        ("0::/", {"cpu.max": "nonsense"}, None),
        ("0::/", {"cpu.max": "100000 0"}, None),
        ("0::/", {"cpu.max": "100000 x"}, None),
        ("0::/", {}, None),
    ],
)
def test_the_quota_of_cores(groups, own, files, quota):
    assert limits.quota(*groups(own, files)) == quota


@pytest.mark.parametrize(
    ("own", "files", "left"),
    [
        ("0::/", {"memory.max": "max", "memory.current": "5"}, None),
        (
            "0::/a",
            {
                "a/memory.max": "3000",
                "a/memory.current": "1000",
                "a/memory.stat": "anon 7\ninactive_file 200",
            },
            2200,
        ),
        (
            "4:memory:/",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "memory/memory.usage_in_bytes": "5",
            },
            None,
        ),
        (
            "4:memory:/",
            {"memory/memory.limit_in_bytes": "3000", "memory/memory.usage_in_bytes": "3500"},
            0,
        ),
    ],
)
def test_memory_that_control_groups_leave(groups, own, files, left):
    assert limits.memory_left(*groups(own, files)) == left


def test_a_system_without_control_groups_limits_nothing(tmp_path):
    assert limits.quota(tmp_path, tmp_path) is None
    assert limits.memory_left(tmp_path, tmp_path) is None
    assert limits.find_memory(tmp_path, tmp_path) == Memory(None, None, None)


@pytest.mark.parametrize(
    ("found", "usable", "words"),
    [
        (Cores(8, 8, None), 8, ""),
        (Cores(8, None, None), 8, ""),  # a system without affinity
        (Cores(8, 3, None), 3, "this process may run on 3"),
        (Cores(8, 8, 2.5), 2, "its control group has a quota of 2.5"),
        (Cores(8, 8, 0.5), 1, "its control group has a quota of 0.5"),
        (Cores(2, 2, 16.0), 2, ""),
    ],
)
def test_cores_that_can_be_used(found, usable, words):
    assert (found.usable, found.limit) == (usable, words)


def test_cores_are_those_that_a_process_is_bound_to():
    """Asked of a process that really is bound to one core."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("the system binds no process to a core")
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += "from bench.machine.limits import usable_cores; print(usable_cores())"
    output = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert output == "1\n"


@pytest.mark.parametrize(
    ("meminfo", "files", "found"),
    [
        (
            "MemTotal: 9 kB\nHugePages_Total: x\nMemAvailable:   7 kB",
            {},
            Memory(9 * 1024, 7 * 1024, None),
        ),
        (
            "MemAvailable: 7 kB",
            {"memory.max": "3000", "memory.current": "1000"},
            Memory(None, 7 * 1024, 2000),
        ),
        ("", {"memory.max": "3000", "memory.current": "1000"}, Memory(None, None, 2000)),
    ],
)
def test_memory_of_the_machine_and_of_the_group(groups, meminfo, files, found):
    proc, cgroup = groups("0::/", files)
    written(proc, {"meminfo": meminfo})
    assert limits.find_memory(proc, cgroup) == found


@pytest.mark.parametrize(
    ("memory", "free"),
    [
        (Memory(9, 7, None), 7),
        (Memory(9, 7, 3), 3),
        (Memory(9, 7, 8), 7),
        (Memory(9, 7, 0), 0),
        (Memory(None, None, 3), 3),
        (Memory(None, None, None), None),
    ],
)
def test_memory_that_is_free(memory, free):
    assert memory.free == free


@pytest.mark.parametrize(
    ("threads", "memory", "workers"),
    [(1, None, 8), (2, None, 4), (3, None, 2), (16, None, 1), (1, 7 * GIGABYTE, 3), (1, 0, 1)],
)
def test_workers_fit_by_cores_and_memory(monkeypatch, threads, memory, workers):
    monkeypatch.setattr(limits, "usable_cores", lambda: 8)
    monkeypatch.setattr(limits, "find_memory", lambda: Memory(None, memory, None))
    assert limits.workers_that_fit(threads) == workers
