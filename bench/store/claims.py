"""Who measures which trial: any number of runners share a folder and never measure one twice.

Two kinds of claims, and all runners of a folder have to use the same:

* by lock, on a local disk and wherever locks reach across machines: ``claims/<key>`` is locked
  by whoever measures the trial, and free the moment that process is dead;
* by lease, where locks cannot be trusted: ``claims/<key>.<number>`` is touched by its owner four
  times in each lease. One that has not been touched for a lease is given up, and whoever first
  makes the file of the next number has the claim.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol

from bench.store import files, locks
from bench.store.files import Unwritable

DEFAULT_LEASE = 120.0  # seconds, where there are no locks at all


class Claim(Protocol):
    """The right to measure a trial."""

    def held(self) -> bool:
        """Tell whether nobody has taken it over."""
        ...

    def release(self) -> None:
        """Give it back."""
        ...


def take(folder: Path, key: str, lease: float | None) -> Claim | None:
    """Claim a trial.

    Args:
        folder: of the claims.
        key: of the trial.
        lease: seconds that a claim lives without being touched; None to claim by lock.

    Returns:
        The claim; None where somebody else has it.

    Raises:
        UserError: if claims cannot be made in this folder.
    """
    if lease is not None or not locks.AVAILABLE:
        return _Lease.take(folder, key, lease or DEFAULT_LEASE)
    return _Lock.take(folder / key)


class _Lock:
    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.handle = handle

    @classmethod
    def take(cls, path: Path) -> _Lock | None:
        handle = locks.take(path)
        if handle is None:
            return None
        files.at("claim taken")
        return cls(path, handle)

    def held(self) -> bool:
        return True

    def release(self) -> None:
        files.at("claim ends")
        locks.let_go(self.path, self.handle)
        files.at("claim released")


class _Lease:
    def __init__(self, path: Path, number: int, lease: float) -> None:
        self.path = path
        self.number = number
        self.ended = threading.Event()
        self.heart = threading.Thread(target=self._beat, args=(lease / 4,), daemon=True)
        self.heart.start()

    @classmethod
    def take(cls, folder: Path, key: str, lease: float) -> _Lease | None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            latest = max(_numbers(folder, key), default=0)
            if latest and not locks.untouched_for(folder / f"{key}.{latest}", lease):
                return None
            path = folder / f"{key}.{latest + 1}"
            if not _created(path):
                return None
        except OSError as error:
            raise Unwritable(f"{folder}: cannot be written ({error.strerror})") from error
        files.at("claim taken")
        return cls(path, latest + 1, lease)

    def held(self) -> bool:
        return self.number == max(self._numbers(), default=0)

    def release(self) -> None:
        self.ended.set()
        self.heart.join()
        for number in self._numbers():  # the lower ones too: nobody is to take them for theirs
            if number <= self.number:
                self.path.with_suffix(f".{number}").unlink(missing_ok=True)

    def _numbers(self) -> list[int]:
        return _numbers(self.path.parent, self.path.stem)

    def _beat(self, pause: float) -> None:
        while not self.ended.wait(pause):
            _touch(self.path)


def _numbers(folder: Path, key: str) -> list[int]:
    suffixes = (path.suffix[1:] for path in folder.glob(f"{key}.*"))
    return [int(suffix) for suffix in suffixes if suffix.isdecimal()]


def _created(path: Path) -> bool:
    """Make a file; False where somebody else was quicker."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


def _touch(path: Path) -> None:
    """Set the time by the clock of the file system; one that was taken over stays gone."""
    try:
        os.utime(path)
    except OSError:
        return
