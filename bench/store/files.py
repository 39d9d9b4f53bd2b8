"""Files that are there whole or not at all, and that show when they are damaged.

A file is written to a temporary name in the same folder, flushed to disk and renamed. While it is
being written it is locked, so that a later run can tell what a dead process left behind.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from bench import plain_files
from bench.errors import UserError
from bench.store import claims, upgrade

SCHEMA = 2
TEMPORARY = ".tmp-"  # how the names of files begin that are being written
_CHECKSUM_LINE = b'{"checksum": "%s",\n'
_SCHEMA_LINE = b'"schema": %d,\n' % SCHEMA


class Damaged(UserError):
    """A stored file is not what was written. ``path`` says which."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path


class Unwritable(UserError):
    """A file cannot be written: the disk is full, or not writable. The earlier file stays."""


def at(point: str) -> None:
    """Do nothing, at a named point of a write; tests put a function here that kills the process."""


def write_json(path: Path, body: Mapping[str, Any]) -> None:
    """Write JSON whose first line holds the checksum of all that follows it."""
    text = json.dumps({"schema": SCHEMA, **body}, indent=1, allow_nan=False, ensure_ascii=False)
    rest = text[1:].lstrip().encode() + b"\n"
    checksum = hashlib.sha256(rest).hexdigest().encode()
    write_whole(path, _CHECKSUM_LINE % checksum + rest)


def read_json(path: Path) -> dict[str, Any]:
    """Return what ``write_json`` wrote; raises Damaged if the file holds anything else."""
    return parse_json(read_checked(path), path)


def read_checked(path: Path) -> bytes:
    """Return the bytes of a file that ``write_json`` wrote; Damaged if the checksum is wrong."""
    content = read_bytes(path)
    first, _, rest = content.partition(b"\n")
    if first + b"\n" != _CHECKSUM_LINE % hashlib.sha256(rest).hexdigest().encode():
        raise Damaged(path, "damaged (its checksum does not match)")
    return content


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """Return what checked bytes say; whoever can compute a checksum may still write nonsense."""
    try:
        body: dict[str, Any] = from_json(content)  # four times as fast as json.loads
    except ValueError:
        raise Damaged(path, "damaged (no JSON)") from None
    del body["checksum"]
    version = body.pop("schema", None)
    if version == 1:
        return upgrade.from_version_1(body)
    if version != SCHEMA:
        raise Damaged(path, f"schema version {version}, this code reads {SCHEMA} and older ones")
    return body


def current(content: bytes, path: Path) -> bytes:
    """Return checked bytes as JSON of this schema version, without checksum and version."""
    rest = content.partition(b"\n")[2]
    if rest.startswith(_SCHEMA_LINE):  # as nearly all files: what follows is parsed once
        return b"{" + rest.removeprefix(_SCHEMA_LINE)
    return json.dumps(parse_json(content, path)).encode()


def read_bytes(path: Path) -> bytes:
    """Return what a plain file holds; UserError names one that cannot be read."""
    plain_files.check(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there completely or not at all, also after a power cut.

    A link in its place is replaced, not followed. Unwritable names a file that cannot be written,
    and a pipe or a device, which are never replaced.
    """
    kind, middle = path.parent.name, len(content) // 2
    try:
        _refuse_device(path)
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
            if not claims.AVAILABLE:
                file.close()  # Windows renames no open file
            temporary.replace(path)
            at(f"{kind} renamed")
        _sync_folder(path.parent)
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({error.strerror})") from error
    at(f"{kind} done")


def _refuse_device(path: Path) -> None:
    """Raise OSError rather than replace a pipe or a device, or a link to any, by a file."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "it is a pipe or a device")
    if path.is_symlink() and path.readlink().is_relative_to("/proc"):
        raise OSError(errno.EINVAL, "it stands for what this process has open")  # /dev/stdout


def move_folder(old: Path, new: Path) -> None:
    """Rename a folder beside itself, at once; Unwritable names one that cannot be renamed."""
    try:
        old.rename(new)
        _sync_folder(new.parent)
    except OSError as error:
        raise Unwritable(f"{old}: cannot be renamed ({error.strerror})") from error


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of dead processes in a folder and in those below it."""
    for path in folder.rglob(f"{TEMPORARY}*"):
        claims.remove_if_free(path)


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[tuple[Path, FileIO]]:
    """Yield the path and the handle of a new, locked file; that name is gone afterwards."""
    while True:
        path = folder / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
        try:
            with path.open("xb", buffering=0) as file:
                claims.hold(file.fileno())
                if os.fstat(file.fileno()).st_nlink:  # else taken for a leftover before the lock
                    yield path, file
                    return
        finally:
            path.unlink(missing_ok=True)


def _write_all(file: FileIO, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder last; Windows cannot open a folder, and needs no such thing."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
