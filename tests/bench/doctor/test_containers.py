"""Cores and memory that control groups leave, from files as the kernel writes them."""

import pytest
import torch

from bench.doctor import containers
from bench.doctor.containers import Cores
from bench.doctor.finding import Machine
from bench.experiment.trial import TrialSettings

HOST = {"MemTotal": 16_000_000, "MemFree": 1_000_000, "MemAvailable": 8_000_000}


def machine(tmp_path, threads=2):
    settings = TrialSettings(data={"name": "scenes"}, train={"threads": threads})
    return Machine(torch.device("cpu"), tmp_path, settings)


def written(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


@pytest.fixture
def groups(tmp_path):
    """Return a function: /proc/self/cgroup, files below /sys/fs/cgroup → those two folders."""

    def make(own, files):
        proc, top = tmp_path / "proc", tmp_path / "cgroup"
        meminfo = "\n".join(f"{name}: {value} kB" for name, value in HOST.items())
        written(proc, {"self/cgroup": own, "meminfo": meminfo})
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
        ("0::/", {}, None),
    ],
)
def test_the_quota_of_cores(groups, own, files, quota):
    assert containers.cpu_quota(*groups(own, files)) == quota


def test_a_system_without_control_groups_limits_nothing(tmp_path):
    assert containers.cpu_quota(tmp_path, tmp_path) is None
    assert containers.memory_left(tmp_path, tmp_path) is None


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
def test_cores_that_can_be_used(tmp_path, found, usable, words):
    assert (found.usable, found.limit) == (usable, words)
    for threads in (usable, usable + 1):
        finding = containers.cores(machine(tmp_path, threads), lambda: found)
        assert finding.state == ("ok" if threads == usable else "off")
        assert finding.numbers["usable"] == usable
    assert f"train.threads: {usable}" in finding.mend


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
    assert containers.memory_left(*groups(own, files)) == left


@pytest.mark.parametrize(
    ("limit", "state", "free"),
    [("max", "ok", 8_192_000_000), ("3000000000", "ok", 3e9), ("1500000000", "off", 1.5e9)],
)
def test_memory(groups, tmp_path, limit, state, free):
    places = groups("0::/", {"memory.max": limit, "memory.current": "0"})
    finding = containers.memory(machine(tmp_path), *places)
    assert (finding.state, finding.numbers["free_bytes"]) == (state, free)


def test_what_a_system_does_not_tell_is_skipped(tmp_path):
    assert containers.memory(machine(tmp_path), tmp_path, tmp_path).state == "skipped"
    assert containers.shared_memory(machine(tmp_path), tmp_path / "none").state == "skipped"


@pytest.mark.parametrize(("free", "state"), [(64 << 20, "off"), (8 << 30, "ok")])
def test_shared_memory_of_a_container(tmp_path, monkeypatch, free, state):
    found = type("", (), {"f_bavail": free // 4096, "f_frsize": 4096})
    monkeypatch.setattr(containers.os, "statvfs", lambda folder: found)
    finding = containers.shared_memory(machine(tmp_path), tmp_path)
    assert finding.state == state
    assert ("--shm-size" in finding.mend) == (state == "off")
