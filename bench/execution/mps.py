"""NVIDIA's Multi-Process Service (MPS): one GPU computes for several processes at the same time.

Without it a GPU that several processes share works for one after the other, in slices of time, and
a small network leaves most of it idle. A daemon, which comes with NVIDIA's driver, passes on what
they ask for; processes find it by an environment variable, and silently do without if they do not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest import mock

from bench.errors import UserError

MODES = ("auto", "on", "off")

_CONTROL = "nvidia-cuda-mps-control"
_FOLDERS = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
_PATIENCE = 60.0  # seconds that a program may take: one imports torch
# The daemon ends with the process that holds the other end of this shell's standard input, and its
# folder goes with it.
_DAEMON = (
    '"$0" -d && echo started && read -r _; echo quit | "$0"; rm -rf "$CUDA_MPS_PIPE_DIRECTORY"'
)
_FIRST_USE = "import torch; assert torch.ones(8, device='cuda').sum().item() == 8"


class _NoMps(Exception):
    """Why processes cannot share a GPU by MPS."""


@contextlib.contextmanager
def shared_gpus(mode: str, say: Callable[[str], None]) -> Iterator[None]:
    """Let processes that are started inside share GPUs by MPS, and ``say`` so, or why not.

    A daemon that is running already is used and left as it is; one of our own ends with the
    context, and with this process. ``mode`` is ``auto`` (where it works), or ``on``, which raises
    UserError where it does not.
    """
    with contextlib.ExitStack() as ending:
        try:
            variables = _daemon(ending)
        except _NoMps as problem:
            ending.close()
            if mode == "on":
                raise UserError(f"--mps on: {problem}") from None
            say(f"trials that share a GPU take turns, since there is no MPS ({problem})")
        else:
            ending.enter_context(mock.patch.dict(os.environ, variables))
            say("trials that share a GPU use it at the same time (MPS)")
        yield


def _daemon(ending: contextlib.ExitStack) -> dict[str, str]:
    """Find or start a daemon that works; return the variables by which processes find it."""
    program = shutil.which(_CONTROL)
    if program is None:
        raise _NoMps(f"{_CONTROL} is not installed")
    variables: dict[str, str] = {}
    try:
        _output([program], variables, "get_server_list\n")
    except _NoMps:  # there is none yet
        variables = dict.fromkeys(_FOLDERS, tempfile.mkdtemp(prefix="mps-"))
        _start(program, variables, ending)
    _output([sys.executable, "-c", _FIRST_USE], variables)
    if not _output([program], variables, "get_server_list\n").strip():
        raise _NoMps("a process on the GPU did not connect to it")
    return variables


def _start(program: str, variables: Mapping[str, str], ending: contextlib.ExitStack) -> None:
    """Start a daemon that lasts until ``ending``, or until this process is gone."""
    keeper = subprocess.Popen(
        ["sh", "-c", _DAEMON, program],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # the terminal's Ctrl-C is for the run, which ends it
    )
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    for last_first in (keeper.stdout.close, keeper.wait, keeper.stdin.close):
        ending.callback(last_first)
    line = keeper.stdout.readline().strip()
    if line != "started":
        raise _NoMps(f"it does not start: {line}" if line else "it does not start")


def _output(command: list[str], variables: Mapping[str, str], text: str = "") -> str:
    """Run a program and return what it prints."""
    try:
        ended = subprocess.run(
            command,
            input=text,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _NoMps(str(error)) from error
    if ended.returncode != 0:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        status = f"{Path(command[0]).name} ended with status {ended.returncode}"
        raise _NoMps(f"{status}: {said[-1]}" if said else status)
    return ended.stdout
