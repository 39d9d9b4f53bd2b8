"""Sharing a GPU, with a shell script that answers as NVIDIA's control program does."""

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.errors import UserError
from bench.execution import mps

# It keeps what runs in the folder that CUDA_MPS_PIPE_DIRECTORY names, or in the default one.
CONTROL = """#!/bin/sh
pipe=${CUDA_MPS_PIPE_DIRECTORY:-$DEFAULT}
if [ "$1" = -d ]; then
    [ -n "$BROKEN" ] && { echo "An instance of this daemon is already running"; exit 1; }
    touch "$pipe/daemon" "$SEEN"
    exit 0
fi
[ -e "$pipe/daemon" ] || { echo "Cannot find MPS control daemon process" >&2; exit 1; }
read -r command
case "$command" in
    get_server_list) [ -e "$pipe/server" ] && cat "$pipe/server"; true ;;
    quit) rm -f "$pipe/daemon" "$pipe/server" "$SEEN" ;;
esac
"""
CONNECT = """
import os, pathlib
pipe = os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or os.environ["DEFAULT"]
pathlib.Path(pipe, "server").write_text("4711")
"""
SHARED = "trials that share a GPU use it at the same time (MPS)"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Install the control program; return the file that is there while a daemon of ours runs."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "nvidia-cuda-mps-control"
    program.write_text(CONTROL)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    (tmp_path / "default").mkdir()
    monkeypatch.setenv("DEFAULT", str(tmp_path / "default"))
    monkeypatch.setenv("SEEN", str(tmp_path / "running"))
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY", raising=False)
    monkeypatch.setattr(mps, "_FIRST_USE", CONNECT)
    return tmp_path / "running"


def test_a_daemon_of_our_own_lasts_as_long_as_the_trials(machine):
    said = []
    with mps.shared_gpus("auto", said.append):
        assert said == [SHARED]
        assert machine.exists()
        pipe = os.environ["CUDA_MPS_PIPE_DIRECTORY"]
        assert Path(pipe).is_dir()
    assert not machine.exists()
    assert not Path(pipe).exists()
    assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ


def test_a_daemon_that_runs_already_is_used_and_left(machine, tmp_path):
    (tmp_path / "default" / "daemon").touch()
    said = []
    with mps.shared_gpus("on", said.append):
        assert said == [SHARED]
        assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ
    assert (tmp_path / "default" / "daemon").exists()


def no_control(monkeypatch):
    monkeypatch.setattr(mps, "_CONTROL", "nvidia-cuda-mps-control-of-nobody")


def broken(monkeypatch):
    monkeypatch.setenv("BROKEN", "1")


def unusable(monkeypatch):
    monkeypatch.setattr(mps, "_FIRST_USE", "raise SystemExit('CUDA error: 805')")


def unconnected(monkeypatch):
    monkeypatch.setattr(mps, "_FIRST_USE", "")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (no_control, "nvidia-cuda-mps-control-of-nobody is not installed"),
        (broken, "it does not start: An instance of this daemon is already running"),
        (unusable, f"{Path(sys.executable).name} ended with status 1: CUDA error: 805"),
        (unconnected, "a process on the GPU did not connect to it"),
    ],
)
def test_without_it_trials_take_turns_or_the_user_is_told(machine, monkeypatch, damage, why):
    damage(monkeypatch)
    said = []
    with mps.shared_gpus("auto", said.append):
        assert not machine.exists()
        assert "CUDA_MPS_PIPE_DIRECTORY" not in os.environ
    assert said == [f"trials that share a GPU take turns, since there is no MPS ({why})"]
    with pytest.raises(UserError) as error, mps.shared_gpus("on", said.append):
        pass
    assert str(error.value) == f"--mps on: {why}"


def test_a_daemon_of_our_own_does_not_outlive_a_run_that_is_killed(machine, tmp_path, monkeypatch):
    (tmp_path / "folders").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "folders"))
    code = f"""
import os, signal
from bench.execution import mps
mps._FIRST_USE = {CONNECT!r}
with mps.shared_gpus("on", print):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    end = time.monotonic() + 60
    left = machine, *(tmp_path / "folders").iterdir()
    while any(path.exists() for path in left) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(path.exists() for path in left)
