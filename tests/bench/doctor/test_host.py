"""What is said of threads, other processes, files and versions, from made-up machines."""

import types
from importlib import metadata

import pytest
import torch

from bench.doctor import cpu, files, libraries
from bench.doctor.finding import Machine
from bench.experiment.trial import TrialSettings
from bench.profiling import device_state
from bench.store import claims


@pytest.fixture
def machine(tmp_path):
    settings = TrialSettings(data={"name": "scenes"}, train={"threads": 2})
    return Machine(torch.device("cpu"), tmp_path / "results", settings)


@pytest.mark.parametrize(("busy", "state"), [(1.02, "ok"), (2.9, "off"), (None, "skipped")])
def test_other_processes(machine, monkeypatch, busy, state):
    looks = [
        {
            "host": {"clock_seconds": t, "busy_seconds": b, "own_seconds": 0.0, "cores": 2},
            "gpu": None,
        }
        for t, b in ((10.0, 1.0), (11.0, busy))
    ]
    monkeypatch.setattr(device_state, "look", lambda device: looks.pop(0))
    found = cpu.others(machine, sleep=lambda seconds: None)
    assert found.state == state
    if state == "off":
        assert "other processes took 1.90 of 2 cores" in found.text


@pytest.mark.parametrize(
    ("environ", "state"),
    [
        ({}, "ok"),
        ({"OMP_PROC_BIND": "false"}, "ok"),
        ({"OMP_PROC_BIND": "close"}, "off"),
        ({"GOMP_CPU_AFFINITY": "0-3", "OMP_PROC_BIND": "TRUE"}, "off"),
    ],
)
def test_variables_that_bind_threads(machine, environ, state):
    found = cpu.bound(machine, environ)
    assert found.state == state
    assert all(name in found.mend for name in environ if state == "off")


@pytest.mark.parametrize(
    ("environ", "library", "state"),
    [
        ({}, "/lib/libgomp.so.1", "ok"),
        ({"GOMP_SPINCOUNT": "20000"}, "/lib/libgomp.so.1", "ok"),
        ({"GOMP_SPINCOUNT": "infinite"}, "/lib/libgomp.so.1", "off"),
        ({"GOMP_SPINCOUNT": "30000000000"}, "/lib/libgomp.so.1", "off"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "/lib/libgomp.so.1", "off"),
        ({"OMP_WAIT_POLICY": "active"}, "/lib/libgomp.so.1", "off"),
        ({}, "/conda/lib/libiomp5.so", "off"),
        ({"KMP_BLOCKTIME": "1"}, "/conda/lib/libiomp5.so", "ok"),
        ({}, None, "skipped"),
    ],
)
def test_threads_that_wait_by_spinning(machine, tmp_path, environ, library, state):
    maps = tmp_path / "maps"
    if library is not None:
        maps.write_text(f"7f00-7f01 r-xp 00000000 00:00 0 {library}\n")
    assert cpu.spinning(machine, environ, maps).state == state


@pytest.mark.parametrize(("several", "state"), [(5.0, "ok"), (8.0, "ok"), (9.0, "off")])
def test_threads_that_do_not_help(machine, several, state):
    found = cpu.threads(machine, {1: 10.0, 2: several}.__getitem__)
    assert found.state == state
    assert f"{10 / several:.2f} ×" in found.text


@pytest.mark.parametrize(("free", "state"), [(0.5e9, "off"), (5e9, "ok")])
def test_room_on_the_disk(machine, free, state):
    asked = []

    def usage(folder):
        asked.append(folder)
        return types.SimpleNamespace(free=free)

    assert files.disk_space(machine, usage).state == state
    assert asked == [machine.results.parent]  # the results folder is not there yet


def test_files_and_locks_of_this_machine_work_and_leave_nothing(machine):
    assert files.writing(machine).state == "ok"
    assert files.locks(machine).state == "ok"
    assert list(machine.results.iterdir()) == []


def test_a_folder_that_cannot_be_written(machine):
    machine.results.write_text("a file in its place")
    assert files.writing(machine).state == "off"
    assert files.locks(machine).state == "off"


def test_locks_that_keep_nobody_out(machine, monkeypatch):
    """As flock over NFS once was: every process gets the lock."""
    outcome = types.SimpleNamespace(only=True)
    monkeypatch.setattr(files.apart, "run", lambda *arguments, seconds: outcome)
    found = files.locks(machine)
    assert found.state == "off"
    assert "two processes can hold one file lock" in found.text


def test_a_system_without_locks(machine, monkeypatch):
    monkeypatch.setattr(claims, "AVAILABLE", False)
    assert files.locks(machine).state == "skipped"


def version_of(installed):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    return version


WANTED = (">=3.11", ["torch>=2.11", "albumentations>=2.0.8,<3", 'ray>=2.40; extra == "ray"'])


@pytest.mark.parametrize(
    ("installed", "wrong"),
    [
        ({"torch": "2.11.0+cu130", "albumentations": "2.0.8"}, None),
        ({"torch": "2.12.0.dev20260101+cu130", "albumentations": "2.9"}, None),
        ({"torch": "2.10.1", "albumentations": "2.0.8"}, "torch is 2.10.1 (admitted: >=2.11)"),
        (
            {"torch": "2.11.0", "albumentations": "3.0"},
            "albumentations is 3.0 (admitted: <3,>=2.0.8)",
        ),
        ({"torch": "2.11.0"}, "albumentations is not installed"),
    ],
)
def test_versions_against_what_is_admitted(machine, installed, wrong):
    found = libraries.versions(machine, WANTED, version_of(installed))
    assert found.state == ("ok" if wrong is None else "off")
    assert wrong is None or wrong in found.text


def test_python_is_a_version_too(machine):
    assert "Python is" in libraries.versions(machine, (">=4", []), version_of({})).text


def test_what_is_admitted_is_read_beside_the_sources_or_from_what_is_installed(
    tmp_path, monkeypatch
):
    python, requirements = libraries.admitted()
    assert python == ">=3.11"
    assert any(one.startswith("torch>=") for one in requirements)
    given = types.SimpleNamespace(metadata={"Requires-Python": ">=3.11"}, requires=requirements)
    monkeypatch.setattr(metadata, "distribution", lambda name: given)
    assert libraries.admitted(tmp_path / "pyproject.toml") == (python, requirements)

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    assert libraries.admitted(tmp_path / "pyproject.toml") is None
