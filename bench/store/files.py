"""Files that are there whole or not at all, and that show when they are damaged.

A file is written to a temporary name in the same folder, flushed to disk and renamed. While it is
being written its lock is held, so that a later run can tell what a dead process left behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.store import locks, upgrade

SCHEMA = 2
_CHECKSUM_LINE = b'{"checksum": "%s",\n'


class Damaged(UserError):
    """A stored file is not what was written. ``path`` says which."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class Unwritable(UserError):
    """A file cannot be written: no room, no permission. What was there before still is."""


def _nothing(point: str) -> None:
    del point


at: Callable[[str], None] = _nothing
"""Called at every named point of a write. Tests put a function here that kills the process."""


def write_json(path: Path, body: Mapping[str, Any]) -> None:
    """Write JSON whose first line holds the checksum of all that follows it.

    Raises:
        ValueError: if there is a number that JSON does not have.
        Unwritable: as ``write_whole``.
    """
    text = json.dumps({"schema": SCHEMA, **body}, indent=1, allow_nan=False, ensure_ascii=False)
    rest = text[1:].lstrip().encode() + b"\n"
    checksum = hashlib.sha256(rest).hexdigest().encode()
    write_whole(path, _CHECKSUM_LINE % checksum + rest)


def read_json(path: Path) -> dict[str, Any]:
    """Return what ``write_json`` wrote.

    Raises:
        Damaged: if it is anything else, or of another schema version.
        UserError: if it cannot be read.
    """
    return parse_json(read_checked(path), path)


def read_checked(path: Path) -> bytes:
    """Return the bytes of a file that ``write_json`` wrote, their checksum verified.

    Raises:
        Damaged: if it does not match.
        UserError: if the file cannot be read.
    """
    content = read_bytes(path)
    first, _, rest = content.partition(b"\n")
    if first + b"\n" != _CHECKSUM_LINE % hashlib.sha256(rest).hexdigest().encode():
        raise Damaged(path, "damaged (its checksum does not match)")
    return content


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """Return what checked bytes say; whoever can compute a checksum may still write nonsense."""
    try:
        body: dict[str, Any] = json.loads(content)
    except (ValueError, RecursionError):
        raise Damaged(path, "damaged (no JSON)") from None
    del body["checksum"]
    version = body.pop("schema", None)
    if version == 1:
        return upgrade.from_version_1(body)
    if version != SCHEMA:
        raise Damaged(path, f"schema version {version}, this code reads {SCHEMA} and older ones")
    return body


def read_bytes(path: Path) -> bytes:
    """Return what a file holds; UserError names one that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there completely or not at all, also after a power cut.

    Raises:
        Unwritable: if it cannot be written; what was there before is still there.
    """
    kind, middle = path.parent.name, len(content) // 2
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        at(f"{kind} begins")
        with _temporary(path.parent) as (temporary, file):
            at(f"{kind} created")
            _write_all(file, content[:middle])
            at(f"{kind} half written")
            _write_all(file, content[middle:])
            at(f"{kind} written")
            os.fsync(file.fileno())
            at(f"{kind} flushed")
            if not locks.AVAILABLE:
                file.close()  # Windows renames no open file
            temporary.replace(path)
            at(f"{kind} renamed")
        _sync_folder(path.parent)
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({error.strerror})") from error
    at(f"{kind} done")


def remove_leftovers(folder: Path, lease: float | None) -> int:
    """Remove the temporary files of dead processes below a folder; return how many.

    Args:
        folder: with everything in it.
        lease: None to ask for their locks; else the seconds after which an untouched file is
            nobody's (see ``bench.store.claims``).
    """
    found = list(folder.rglob(f"{locks.TEMPORARY}*"))
    return sum(locks.remove_if_free(path, lease) for path in found)


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, FileIO]]:
    """Yield the path and the handle of a new, locked file; that name is gone afterwards."""
    while True:
        path = folder / f"{locks.TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with path.open("xb", buffering=0) as file:
                locks.hold(file.fileno())
                if os.fstat(file.fileno()).st_nlink:  # else taken for a leftover before the lock
                    yield path, file
                    return
        finally:
            path.unlink(missing_ok=True)


def _write_all(file: FileIO, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder last; Windows cannot open a folder, and needs no such thing."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
