"""Locks of the operating system: held by a process, and free the moment it is dead."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from bench.errors import UserError

try:
    import fcntl
except ImportError:  # Windows has none
    fcntl = None  # type: ignore[assignment]

TEMPORARY = ".tmp-"  # how the names of files begin that are nobody's when nobody holds them
NONE_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_TAKEN = (errno.EACCES, errno.EAGAIN)
_held: set[int] = set()  # handles whose lock this process holds

AVAILABLE = fcntl is not None


def take(path: Path) -> int | None:
    """Take the lock of a file, which is made if need be; return its handle, None if it is taken.

    Raises:
        UserError: if the file cannot be made, or this file system has no locks.
    """
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _locked(handle):
                os.close(handle)
                return None
            if _is_at(handle, path):
                _held.add(handle)
                return handle
            os.close(handle)  # its holder removed it between our opening and locking it
    except OSError as error:
        if error.errno in NONE_HERE:
            raise UserError(f"{path}: this file system has no locks; give --lease") from None
        raise UserError(f"{path}: cannot be locked ({error.strerror})") from error


def let_go(path: Path, handle: int) -> None:
    """Remove a file whose lock is held, and with it the lock."""
    path.unlink(missing_ok=True)
    _held.discard(handle)
    os.close(handle)


def hold(handle: int) -> None:
    """Lock a file that this process has just made, until the handle is closed."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NONE_HERE:
                raise


def remove_if_free(path: Path, lease: float | None) -> bool:
    """Remove a file whose lock nobody holds; with a lease, one that nobody has touched in it."""
    try:
        if lease is not None:
            if not untouched_for(path, lease):
                return False
            path.unlink(missing_ok=True)
            return True
        handle = os.open(path, os.O_RDWR)
    except OSError:  # gone already
        return False
    try:
        if _locked(handle):
            path.unlink(missing_ok=True)
            return True
        return False
    except OSError:  # a file system without locks: better a stray file than a lost one
        return False
    finally:
        os.close(handle)


def untouched_for(path: Path, seconds: float) -> bool:
    """Tell whether a file was last written or touched longer ago than that; not if it is gone.

    Two times of the file system are compared: the clocks of machines need not agree.
    """
    now = path.parent / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
    try:
        now.touch()
        return now.stat().st_mtime - path.stat().st_mtime > seconds
    except FileNotFoundError:
        return False
    finally:
        now.unlink(missing_ok=True)


def _locked(handle: int) -> bool:
    if fcntl is None:
        raise OSError(errno.ENOSYS, "no locks on this system")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        raise
    return True


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
