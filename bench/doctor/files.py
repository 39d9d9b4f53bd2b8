"""The folder of the results: free disk space, file locks, files that are replaced at once."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench.doctor import apart
from bench.doctor.finding import Finding, Machine, off, ok, skipped
from bench.errors import UserError
from bench.store import claims
from bench.store.files import write_whole

LEAST_FREE = 1e9  # bytes
ELSEWHERE = "put --results on another file system"


def disk_space(machine: Machine, usage: Any = shutil.disk_usage) -> Finding:
    """Look how much of the disk of the results is free."""
    free = usage(_existing(machine.results)).free
    text = f"{free / 1e9:.1f} GB of disk are free for results in {machine.results}"
    if free < LEAST_FREE:
        return off(text, f"delete what is not needed, or {ELSEWHERE}", free_bytes=free)
    return ok(text, free_bytes=free)


def writing(machine: Machine) -> Finding:
    """Write a file there, replace it, and read it back."""
    path = _new_name(machine.results)
    try:
        for content in (b"first", b"second"):
            write_whole(path, content)
        found = path.read_bytes()
    except UserError as error:
        return off(str(error), f"make {machine.results} writable, or {ELSEWHERE}")
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
    if found != b"second":
        return off(f"{machine.results}: a file that was replaced still is the old one", ELSEWHERE)
    return ok(f"files in {machine.results} are written and replaced")


def locks(machine: Machine) -> Finding:
    """Lock a file there, and let another process try to lock it too."""
    if not claims.AVAILABLE:
        return skipped("this system has no flock: start one run on a results folder at a time")
    path = _new_name(machine.results)
    try:
        handle = claims.take(path)
    except UserError as error:
        return off(str(error), f"{ELSEWHERE}, or use --executor ray, which needs no locks")
    if handle is None:
        return off(f"{path}: a new file is locked already", ELSEWHERE)
    try:
        taken_twice = apart.run(partial(_try_to_take, path), machine, seconds=30).only
    finally:
        claims.release(path, handle)
    if taken_twice:
        text = f"{machine.results}: two processes can hold one file lock at the same time"
        return off(text, f"{ELSEWHERE}, or start one run on a results folder at a time")
    return ok(f"file locks (flock) work in {machine.results}")


def _try_to_take(path: Path, machine: Machine) -> Iterator[bool]:
    handle = claims.take(path)
    yield handle is not None
    if handle is not None:
        os.close(handle)


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that is there."""
    whole = folder.absolute()
    return next(path for path in (whole, *whole.parents) if path.is_dir())


def _new_name(folder: Path) -> Path:
    return folder / f".doctor-{os.getpid()}-{secrets.token_hex(4)}"
