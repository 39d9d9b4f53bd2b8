"""What is said of the cores and the memory that a process may use."""

import pytest
import torch

from bench.doctor import limits
from bench.doctor.finding import Machine
from bench.experiment.trial import TrialSettings
from bench.machine.limits import Cores, Memory


def machine(tmp_path, threads=2):
    settings = TrialSettings(data={"name": "scenes"}, train={"threads": threads})
    return Machine(torch.device("cpu"), tmp_path, settings)


@pytest.mark.parametrize("threads", [2, 3])
def test_cores_against_threads(tmp_path, threads):
    finding = limits.cores(machine(tmp_path, threads), lambda: Cores(8, 8, 2.5))
    assert finding.state == ("ok" if threads == 2 else "off")
    assert finding.numbers["usable"] == 2
    assert "a quota of 2.5" in finding.text
    assert ("train.threads: 2" in finding.mend) == (threads == 3)


@pytest.mark.parametrize(
    ("found", "state", "free"),
    [
        (Memory(16 * 10**9, 8 * 10**9, None), "ok", 8e9),
        (Memory(16 * 10**9, 8 * 10**9, 3 * 10**9), "ok", 3e9),
        (Memory(16 * 10**9, 8 * 10**9, 15 * 10**8), "off", 1.5e9),
        (Memory(16 * 10**9, 10**9, None), "off", 1e9),
    ],
)
def test_memory(tmp_path, found, state, free):
    finding = limits.memory(machine(tmp_path), lambda: found)
    assert (finding.state, finding.numbers["free_bytes"]) == (state, free)
    assert ("control group" in finding.text) == (found.left is not None)


def test_what_a_system_does_not_tell_is_skipped(tmp_path):
    assert limits.memory(machine(tmp_path), lambda: Memory(None, None, None)).state == "skipped"
    assert limits.shared_memory(machine(tmp_path), tmp_path / "none").state == "skipped"


@pytest.mark.parametrize(("free", "state"), [(64 << 20, "off"), (8 << 30, "ok")])
def test_shared_memory_of_a_container(tmp_path, monkeypatch, free, state):
    found = type("", (), {"f_bavail": free // 4096, "f_frsize": 4096})
    monkeypatch.setattr(limits.os, "statvfs", lambda folder: found)
    finding = limits.shared_memory(machine(tmp_path), tmp_path)
    assert finding.state == state
    assert ("--shm-size" in finding.mend) == (state == "off")
