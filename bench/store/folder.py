"""The results folder of one experiment: what is in it, read and written."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.store import claims, files
from bench.store.claims import Claim
from bench.store.files import Damaged
from bench.store.records import Record, parse

_BLOB = re.compile(rb'"(blobs/[0-9a-f]{64}\.[a-z0-9]+)"')


class Store:
    """The results folder of one experiment. Creating a ``Store`` touches nothing.

    Args:
        folder: of the experiment.
        lease: seconds, to claim trials by lease; None to claim them by lock
            (see ``bench.store.claims``).
    """

    def __init__(self, folder: Path, *, lease: float | None = None) -> None:
        self.folder = folder
        self.lease = lease

    def read_plan(self) -> dict[str, Any] | None:
        """Return the stored plan, or None where the folder holds none.

        Raises:
            Damaged: if it is not what was written.
        """
        path = self.folder / "plan.json"
        return files.read_json(path) if path.is_file() else None

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Store what the experiment consists of, in place of an earlier plan."""
        files.write_json(self.folder / "plan.json", plan)

    def keys(self) -> set[str]:
        """Return the keys of every trial that has a record."""
        return {path.stem for path in (self.folder / "trials").glob("*.json")}

    def has(self, key: str) -> bool:
        """Tell whether a trial has a record."""
        return self.record_file(key).is_file()

    def read(self, key: str) -> Record:
        """Return the record of a trial.

        Raises:
            Damaged: if the file is not what was written, or of another schema version.
            UserError: if it cannot be read.
        """
        return self.read_with_blobs(key)[0]

    def read_with_blobs(self, key: str) -> tuple[Record, list[str]]:
        """Return a record and the names of all pictures and checkpoints that it names."""
        path = self.record_file(key)
        content = files.read_checked(path)
        record = parse(files.parse_json(content, path), path)
        return record, [name.decode() for name in _BLOB.findall(content)]

    def records(self) -> Iterator[Record]:
        """Yield every record, in the order of their keys."""
        for key in sorted(self.keys()):
            yield self.read(key)

    def held(self, keys: Iterable[str]) -> dict[str, Record]:
        """Return key → record for those of some trials that have one which can be read."""
        return self.intact(keys)[0]

    def intact(self, keys: Iterable[str]) -> tuple[dict[str, Record], list[str]]:
        """Return the records of some trials that can be read, and what is wrong with the others.

        Returns:
            Key → record, by key; and a line for each file that is damaged.
        """
        records, problems = {}, []
        for key in sorted({key for key in keys if self.has(key)}):
            try:
                records[key] = self.read(key)
            except UserError as error:
                problems.append(str(error))
        return records, problems

    def details(self, key: str) -> dict[str, Any]:
        """Return the details stored beside a record; empty where there are none."""
        path = self.details_file(key)
        return files.read_json(path) if path.is_file() else {}

    def put(self, content: bytes, suffix: str) -> str:
        """Store bytes under their own digest and return their path inside the folder."""
        name = f"blobs/{hashlib.sha256(content).hexdigest()}{suffix}"
        path = self.folder / name
        if not path.is_file() or path.read_bytes() != content:
            files.write_whole(path, content)
        return name

    def blob(self, name: str) -> bytes:
        """Return the bytes that ``put`` stored.

        Raises:
            Damaged: if they are not what was stored.
            UserError: if they are missing.
        """
        path = self.folder / name
        content = files.read_bytes(path)
        if hashlib.sha256(content).hexdigest() != path.stem:
            raise Damaged(path, "damaged (its content does not match its name)")
        return content

    def commit(self, record: Record, details: Mapping[str, Any]) -> None:
        """Store a finished trial. The record is written last: it is the commit."""
        files.write_json(self.details_file(record.key), details)
        files.write_json(self.record_file(record.key), record.model_dump(mode="json"))
        self.drop_partial(record.key)

    def write_partial(self, key: str, content: bytes) -> None:
        """Keep the state of a trial that is not finished, in place of an earlier one."""
        digest = hashlib.sha256(content).digest()
        files.write_whole(self.partial_file(key), digest + content)

    def read_partial(self, key: str) -> bytes | None:
        """Return the state that was kept of a trial; None where there is none.

        Raises:
            Damaged: if it is not what was written.
        """
        path = self.partial_file(key)
        if not path.is_file():
            return None
        content = files.read_bytes(path)
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            raise Damaged(path, "damaged (its checksum does not match)")
        return content[32:]

    def drop_partial(self, key: str) -> None:
        """Forget the state of a trial that is finished."""
        self.partial_file(key).unlink(missing_ok=True)
        files.at("partial dropped")

    @contextlib.contextmanager
    def claim(self, key: str) -> Iterator[Claim | None]:
        """Claim a trial for the time of a ``with`` block; None where somebody else has it."""
        claim = claims.take(self.folder / "claims", key, self.lease)
        try:
            yield claim
        finally:
            if claim is not None:
                claim.release()

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

    def record_file(self, key: str) -> Path:
        """Return where the record of a trial belongs."""
        return self.folder / "trials" / f"{key}.json"

    def details_file(self, key: str) -> Path:
        """Return where the details of a trial belong."""
        return self.folder / "details" / f"{key}.json"

    def partial_file(self, key: str) -> Path:
        """Return where the state of an unfinished trial belongs."""
        return self.folder / "partial" / key
