"""The store: one file a trial, written whole or not at all, and verified when it is read.

A results folder belongs to one experiment::

    plan.json               what the experiment consists of: factors, baseline, every trial
    trials/<key>.json       one record a trial; its presence is what "measured" means
    details/<key>.json      what only some readers need: history, per-image confusion matrices
    blobs/<sha256>.<ext>    pictures and checkpoints, named by their content

Details and blobs are written before the record that names them, so that a record never
points at something that is not there. ``docs/results-format.md`` describes the content.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UserError

SCHEMA = 1
_CHECKSUM_LINE = b'{"checksum": "%s",\n'


@dataclass(frozen=True)
class Record:
    """What was measured in one trial.

    ``status`` is ``done``, or says why there is no result: ``failed``, ``diverged``, ``oom``;
    then ``reason`` holds one line and ``result`` is empty.
    """

    key: str
    experiment: str
    measure: str
    status: str
    reason: str | None
    arm: Mapping[str, Any]
    label: str
    seed: int
    settings: Mapping[str, Any]
    provenance: Mapping[str, str]
    environment: Mapping[str, Any]
    started: str
    seconds: float
    result: Mapping[str, Any]


class Store:
    """The results folder of one experiment. Creating a ``Store`` touches nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read_plan(self) -> dict[str, Any] | None:
        """Return the stored plan, or None where the folder holds none."""
        path = self.folder / "plan.json"
        return _read(path) if path.is_file() else None

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Store what the experiment consists of, in place of an earlier plan."""
        _write(self.folder / "plan.json", plan)

    def keys(self) -> set[str]:
        """Return the keys of every trial that has a record."""
        return {path.stem for path in (self.folder / "trials").glob("*.json")}

    def read(self, key: str) -> Record:
        """Return the record of a trial.

        Raises:
            UserError: if the file is damaged or of another schema version.
        """
        body = _read(self.folder / "trials" / f"{key}.json")
        body.pop("schema")
        return Record(**body)

    def records(self) -> Iterator[Record]:
        """Yield every record, in the order of their keys."""
        for key in sorted(self.keys()):
            yield self.read(key)

    def details(self, key: str) -> dict[str, Any]:
        """Return the details stored beside a record; empty where there are none."""
        path = self.folder / "details" / f"{key}.json"
        return _read(path) if path.is_file() else {}

    def put(self, content: bytes, suffix: str) -> str:
        """Store bytes under their own digest and return their path inside the folder."""
        name = f"blobs/{hashlib.sha256(content).hexdigest()}{suffix}"
        if not (self.folder / name).is_file():
            _write_whole(self.folder / name, content)
        return name

    def blob(self, name: str) -> bytes:
        """Return the bytes that ``put`` stored.

        Raises:
            UserError: if they are missing or not what was stored.
        """
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        if hashlib.sha256(content).hexdigest() != path.stem:
            raise UserError(f"{path}: damaged (its content does not match its name)")
        return content

    def commit(self, record: Record, details: Mapping[str, Any]) -> None:
        """Store a finished trial. The record is written last: it is the commit."""
        _write(self.folder / "details" / f"{record.key}.json", details)
        _write(self.folder / "trials" / f"{record.key}.json", dataclasses.asdict(record))

    def check_writable(self) -> None:
        """Create the folder and try to write in it.

        Raises:
            UserError: if that is not possible.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise UserError(
                f"{self.folder}: results cannot be written ({error.strerror})"
            ) from None


def _write(path: Path, body: Mapping[str, Any]) -> None:
    """Write JSON whose first line holds the checksum of all that follows it."""
    text = json.dumps({"schema": SCHEMA, **body}, indent=1, allow_nan=False, ensure_ascii=False)
    rest = text[1:].lstrip().encode() + b"\n"
    checksum = hashlib.sha256(rest).hexdigest().encode()
    _write_whole(path, _CHECKSUM_LINE % checksum + rest)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    first, _, rest = content.partition(b"\n")
    if first + b"\n" != _CHECKSUM_LINE % hashlib.sha256(rest).hexdigest().encode():
        raise UserError(f"{path}: damaged (its checksum does not match); delete it to start over")
    body: dict[str, Any] = json.loads(content)
    del body["checksum"]
    if body.get("schema") != SCHEMA:
        raise UserError(f"{path}: schema version {body.get('schema')}, this code reads {SCHEMA}")
    return body


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there completely or not at all, also after a power cut.

    Raises:
        UserError: if it cannot be written; what was there before is still there.
    """
    temporary = path.parent / f".tmp-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder last; Windows cannot open a folder, and needs no such thing."""
    if os.name != "nt":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
