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
from bench.store.details import Details
from bench.store.files import Damaged
from bench.store.plans import Plan
from bench.store.records import Record, contradiction, is_final
from bench.store.stored import validated

RECONCILE = "reconcile"  # the claim of the one process that may look at all that is stored
RUN = "run"  # the claim that all share that use a folder
PARTS = ("trials", "details", "blobs", "partial", "claims")
_BLOB = re.compile(r"blobs/[0-9a-f]{64}\.[a-z0-9]+")


class Store:
    """The results folder of one experiment. Creating a ``Store`` touches nothing.

    It needs no locks where one process alone hands out the trials, as with Ray: the folder may
    then lie on a file system that has none.
    """

    def __init__(self, folder: Path, *, needs_locks: bool = True) -> None:
        self.folder = folder
        self.needs_locks = needs_locks

    def read_plan(self) -> Plan | None:
        """Return the stored plan, or None where the folder holds none."""
        path = self.folder / "plan.json"
        return validated(Plan, files.read_checked(path), path) if path.exists() else None

    def write_plan(self, plan: Plan) -> None:
        """Store what the experiment consists of, in place of an earlier plan."""
        files.write_json(self.folder / "plan.json", plan.model_dump(mode="json"))

    def keys(self) -> set[str]:
        """Return the keys of every trial that has a record."""
        return {path.stem for path in (self.folder / "trials").glob("*.json")}

    def has(self, key: str) -> bool:
        """Tell whether a trial has a record."""
        return self.record_file(key).exists()

    def read(self, key: str) -> Record:
        """Return the record of a trial; UserError if it is damaged or cannot be read."""
        return self.read_with_blobs(key)[0]

    def read_with_blobs(self, key: str) -> tuple[Record, list[str]]:
        """Return a record and the names of all pictures and checkpoints that it names."""
        path = self.record_file(key)
        content = files.read_checked(path)
        record = validated(Record, content, path)
        if record.key != key:
            raise Damaged(path, f"damaged (it is the record of {record.key})")
        names = record.accuracy.blobs if record.accuracy else []
        for name in names:
            if not _BLOB.fullmatch(name):
                raise Damaged(path, f"damaged ({name!r} is no picture or checkpoint in blobs/)")
        return record, names

    def records(self) -> Iterator[Record]:
        """Yield every record, in the order of their keys."""
        for key in sorted(self.keys()):
            yield self.read(key)

    def held(self, keys: Iterable[str]) -> dict[str, Record]:
        """Return key → record for those of some trials that have one which can be read."""
        return self.intact(keys)[0]

    def intact(self, keys: Iterable[str]) -> tuple[dict[str, Record], list[str]]:
        """Return the records of some trials that can be read, and a line for each other one."""
        records, problems = {}, []
        for key in sorted(self.keys().intersection(keys)):
            try:
                records[key] = self.read(key)
            except UserError as error:
                problems.append(str(error))
        return records, problems

    def of_plan(self, plan: Plan) -> tuple[dict[str, Record], list[str]]:
        """Return the records of all trials of a plan, and a line for each that is damaged.

        One that contradicts the plan is damaged too: it is of another trial.
        """
        records, problems = self.intact(plan.keys)
        for trial in plan.everything:
            record = records.get(trial.key)
            if record is None:
                continue
            why = contradiction(record, trial.seed, trial.arm)
            if record.measure != plan.measure:
                why = f"it measures {record.measure}, the plan {plan.measure}"
            if why is not None:
                del records[trial.key]
                problems.append(str(Damaged(self.record_file(trial.key), why)))
        return records, problems

    def details(self, key: str) -> Details:
        """Return the details stored beside a record; empty where there are none."""
        path = self.details_file(key)
        return validated(Details, files.read_checked(path), path) if path.exists() else Details()

    def put(self, content: bytes, suffix: str) -> str:
        """Store bytes under their own digest and return their path inside the folder."""
        name = f"blobs/{hashlib.sha256(content).hexdigest()}{suffix}"
        try:
            self.blob(name)
        except UserError:
            files.write_whole(self.folder / name, content)
        return name

    def blob(self, name: str) -> bytes:
        """Return the bytes that ``put`` stored; UserError if they are damaged, missing or a link.

        Records may come from anywhere: what they name is read in ``blobs/`` or not at all.
        """
        path = self.folder / name
        if not _BLOB.fullmatch(name) or path.is_symlink():
            why = "only plain files in blobs/ are read as pictures and checkpoints"
            raise UserError(f"{self.folder}: {name!r} is refused; {why}")
        content = files.read_bytes(path)
        if hashlib.sha256(content).hexdigest() != path.stem:
            raise Damaged(path, "damaged (its content does not match its name)")
        return content

    def commit(self, record: Record, details: Mapping[str, Any]) -> None:
        """Store how a trial ended. The record is written last: it is the commit.

        The state of its training goes only where the trial is not tried again.
        """
        files.write_json(self.details_file(record.key), details)
        files.write_json(self.record_file(record.key), record.model_dump(mode="json"))
        if is_final(record):
            self.drop_partial(record.key)

    def write_partial(self, key: str, content: bytes) -> None:
        """Keep the state of a trial that is not finished, in place of an earlier one."""
        digest = hashlib.sha256(content).digest()
        files.write_whole(self.partial_file(key), digest + content)

    def read_partial(self, key: str) -> bytes | None:
        """Return the state that was kept of a trial; None where there is none."""
        path = self.partial_file(key)
        if not path.exists():
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
    def claim(self, key: str) -> Iterator[int | None]:
        """Claim a trial for the time of a ``with`` block; None where another runner has it."""
        path = self.claim_file(key)
        claim = claims.take(path, needed=self.needs_locks)
        if claim is None:
            yield None
            return
        files.at("claim taken")
        try:
            yield claim
        finally:
            files.at("claim ends")
            claims.release(path, claim)
            files.at("claim released")

    def check_writable(self) -> None:
        """Create the folder and what it is divided into, and try to write in each.

        UserError if that is not possible.
        """
        for folder in (self.folder, *(self.folder / name for name in PARTS)):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                why = f"results cannot be written ({error.strerror})"
                raise UserError(f"{folder}: {why}") from None

    def record_file(self, key: str) -> Path:
        """Return where the record of a trial belongs."""
        return self.folder / f"trials/{key}.json"

    def details_file(self, key: str) -> Path:
        """Return where the details of a trial belong."""
        return self.folder / f"details/{key}.json"

    def claim_file(self, key: str) -> Path:
        """Return the file by which a trial is claimed."""
        return self.folder / f"claims/{key}"

    def partial_file(self, key: str) -> Path:
        """Return where the state of an unfinished trial belongs."""
        return self.folder / f"partial/{key}"
