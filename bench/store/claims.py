"""Locks of the operating system on files: held by a process, and free the moment it is dead.

A trial is claimed by locking ``claims/<key>``; so any number of runners may share a folder and
never measure a trial twice. A file that is being written is locked too, which tells it from one
that a dead process left behind. On Windows, which has no such locks, one run at a time may use a
folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

REMIND = 60.0  # seconds between two lines that say what is being waited for
AVAILABLE = fcntl is not None
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_TAKEN = (errno.EACCES, errno.EAGAIN)
_held: set[int] = set()  # handles whose lock this process holds


def take(path: Path, *, needed: bool = True, shared: bool = False) -> int | None:
    """Lock a file, which is made if need be; return its handle, None if another process has it.

    Any number of processes may have a ``shared`` lock. Not ``needed``, it is taken without a lock
    where the file system has none: then one process alone has to see to it that nothing is done
    twice. UserError if the file cannot be made, or needs a lock and cannot have one.
    """
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _locked(handle, needed=needed and AVAILABLE, shared=shared):
                os.close(handle)
                return None
            if _is_at(handle, path):
                _held.add(handle)
                _sign(handle)
                return handle
            os.close(handle)  # its holder removed it between our opening and locking it
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            raise UserError(
                f"{path}: this file system has no file locks (flock); put --results on one that "
                "has, or use --executor ray, which needs none"
            ) from None
        raise UserError(f"{path}: cannot be locked ({error.strerror})") from error


def holder(path: Path) -> str:
    """Return which process holds a lock, in words, or an empty text where that cannot be told."""
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def is_alone(handle: int) -> bool:
    """Tell whether nobody else has the lock that this process shares; only one may ask at a time.

    Without locks nobody else may use the folder.
    """
    if not AVAILABLE:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError as error:
        return error.errno not in _TAKEN
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_SH)  # which was given up to ask


def leave(path: Path, handle: int) -> None:
    """Give up a shared lock; the file goes with the last one."""
    _held.discard(handle)
    os.close(handle)
    remove_if_free(path)


def minutes() -> Iterator[bool]:
    """Yield again and again whether another minute has passed, for whoever waits to say so."""
    last = time.monotonic()
    while True:
        due = time.monotonic() - last >= REMIND
        if due:
            last = time.monotonic()
        yield due


def release(path: Path, handle: int) -> None:
    """Remove a file whose lock is held, and with it the lock."""
    _held.discard(handle)
    if not AVAILABLE:
        os.close(handle)  # Windows removes no open file
    path.unlink(missing_ok=True)
    if AVAILABLE:
        os.close(handle)


def hold(handle: int) -> None:
    """Lock a file that this process has just made, until the handle is closed."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise


def remove_if_free(path: Path) -> bool:
    """Remove a file whose lock nobody holds; without locks it stays: it may be in use."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:  # removed already
        return False
    try:
        free = _locked(handle)
        if free:
            path.unlink(missing_ok=True)
        return free
    except OSError:
        return False
    finally:
        os.close(handle)


def _locked(handle: int, *, needed: bool = True, shared: bool = False) -> bool:
    """Try to lock a file; False if another process holds its lock."""
    if not AVAILABLE:
        return not needed
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if needed or error.errno not in _UNSUPPORTED:
            raise
    return True


def _sign(handle: int) -> None:
    """Write into a locked file whose it is, for people who wait; nothing relies on it."""
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {platform.node()}".encode())


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _forget() -> None:
    """Close inherited handles in a forked child: a loader process would keep its runner's locks."""
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
