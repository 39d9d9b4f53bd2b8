"""What a run does before it measures: sweep up, find damage, part records of other versions.

Nothing is deleted but temporary files. What is damaged moves to ``damaged/``, records of other
code, data, settings or versions to ``archive/<time>/``, each under the name that it had. A record
that fits the plan again comes back from there.
"""

from __future__ import annotations

import contextlib
import functools
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.store import files, locks
from bench.store.folder import Store
from bench.store.records import Record, is_final

Problem = tuple[Path, str]  # a file, and what is wrong with it

_READERS = 4  # threads that read and hash files
_TURN = "upkeep"  # the claim of whoever looks after a folder: one at a time
_WAIT = 0.2  # seconds until another try to have it


@dataclass(frozen=True)
class Planned:
    """A trial as the plan has it: which one, and what its record has to come from.

    ``defaults`` are of its settings, by section.
    """

    key: str
    arm: Mapping[str, Any]
    seed: int
    settings: Mapping[str, Any]
    provenance: Mapping[str, str]
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stale:
    """A record of a planned trial that another version measured.

    ``planned`` is the key that the trial has in the plan; ``differs`` names what is not the
    same: ``settings``, ``code``, ``data``, ``versions``.
    """

    planned: str
    record: Record
    differs: tuple[str, ...]


@dataclass(frozen=True)
class Review:
    """What was found in a results folder, and done about it.

    Attributes:
        damaged: a line for each file that was put aside.
        archived: records of other versions that were moved to ``archive``.
        archive: where to; None if nothing was.
        accepted: key in the plan → the record of another version that is taken for it.
    """

    damaged: tuple[str, ...] = ()
    archived: tuple[Stale, ...] = ()
    archive: Path | None = None
    accepted: Mapping[str, Stale] = field(default_factory=dict)


def review(store: Store, planned: Sequence[Planned], *, accept_stale: bool = False) -> Review:
    """Make a results folder ready for a run; of several runs, one at a time.

    Args:
        store: the folder.
        planned: every trial of the plan.
        accept_stale: take finished records of other code, data or versions as they are.

    Raises:
        UserError: if something cannot be moved or removed.
    """
    keys = {trial.key for trial in planned}
    with _turn(store):
        try:
            _sweep(store)
            _restore(store, keys - store.keys())
            found = stale(store, planned)
            taken = _newest(store, found) if accept_stale else {}
            used = keys | {one.record.key for one in taken.values()}
            damaged = _set_damaged_aside(store, used)
            accepted = {key: one for key, one in taken.items() if store.has(one.record.key)}
            others = [one for one in found if one.planned not in taken or one != taken[one.planned]]
            return Review(tuple(damaged), tuple(others), _archive(store, others), accepted)
        except OSError as error:
            why = f"cannot be moved or removed ({error.strerror})"
            raise files.Unwritable(f"{error.filename}: {why}") from error


def stale(store: Store, planned: Sequence[Planned]) -> list[Stale]:
    """List the records that are of a planned trial's arm and seed, but not of its key."""
    trials = {_which(trial.arm, trial.seed): trial for trial in planned}
    records, _ = store.intact(store.keys() - {trial.key for trial in planned})
    found = []
    for record in records.values():
        trial = trials.get(_which(record.arm, record.seed))
        if trial is not None:
            found.append(Stale(trial.key, record, _differences(trial, record)))
    return found


def _which(arm: Mapping[str, Any], seed: int) -> tuple[str, int]:
    return json.dumps(arm, sort_keys=True), seed


def _differences(trial: Planned, record: Record) -> tuple[str, ...]:
    """Name what differs.

    A setting that the record's version did not know is no other one if it has its default now.
    """
    contradict = _contradict(trial.settings, record.settings, trial.defaults)
    settings = ["settings"] if contradict else []
    ours, theirs = trial.provenance, record.provenance
    return (*settings, *(name for name in ours if theirs.get(name) != ours[name]))


def _contradict(ours: Any, theirs: Any, defaults: Any) -> bool:
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        return json.dumps(ours) != json.dumps(theirs)
    known = defaults if isinstance(defaults, Mapping) else {}
    return any(
        _contradict(value, theirs.get(name, known.get(name, value)), known.get(name))
        for name, value in ours.items()
    )


def _newest(store: Store, found: Iterable[Stale]) -> dict[str, Stale]:
    """Choose for each trial without a record the newest one that has the same settings."""
    usable = [
        one
        for one in found
        if "settings" not in one.differs and is_final(one.record) and not store.has(one.planned)
    ]
    return {one.planned: one for one in sorted(usable, key=lambda one: one.record.started)}


@contextlib.contextmanager
def _turn(store: Store) -> Iterator[None]:
    """Wait until nobody else looks after the folder; hold that right meanwhile."""
    while True:
        with store.claim(_TURN) as claim:
            if claim is not None:
                yield
                return
        time.sleep(_WAIT)


def _sweep(store: Store) -> None:
    """Remove temporary files, claims and states that nobody needs any more."""
    files.remove_leftovers(store.folder, store.lease)
    for path in (store.folder / "claims").glob("*"):
        if path.stem != _TURN:
            locks.remove_if_free(path, store.lease)
    for path in (store.folder / "partial").glob("*"):
        if store.has(path.name):
            store.drop_partial(path.name)


def _set_damaged_aside(store: Store, keys: Iterable[str]) -> list[str]:
    """Move every damaged file of the plan and of some trials away; return a line for each.

    A trial is measured again if its record, its details or a picture of it is damaged. Pictures
    are shared, and any trial brings one back: the first of those that name it is measured again.
    """
    lines: list[str] = []
    gone: list[Path] = []
    for path, line in _problem(store.folder / "plan.json", store.read_plan):
        lines.append(line)
        gone.append(path)
    wanted, stored = set(keys), store.keys()
    found = _damage(store, sorted(wanted & stored), complete=wanted <= stored)
    for key, problems in found.items():
        lines += [line for _, line in problems]
        gone += [path for path, _ in problems]
        gone += [store.record_file(key), store.details_file(key)]
    for path in dict.fromkeys(gone):
        _move(path, _free(store.folder / "damaged" / path.relative_to(store.folder)))
    return lines


def _damage(store: Store, keys: Sequence[str], *, complete: bool) -> dict[str, list[Problem]]:
    """Return for each trial that has damaged files which they are and what is wrong.

    Until all trials are measured (complete), a missing picture may come with one of them.
    """
    found: dict[str, list[Problem]] = {}
    owner: dict[str, str] = {}  # of a blob: the first trial that names it
    with ThreadPoolExecutor(_READERS) as pool:
        looked_at = pool.map(functools.partial(_look, store), keys)
        for key, (problems, blobs) in zip(keys, looked_at, strict=True):
            found[key] = problems
            for name in blobs:
                owner.setdefault(name, key)
        owner = {n: k for n, k in owner.items() if complete or (store.folder / n).exists()}
        checked = pool.map(functools.partial(_look_at_blob, store), owner)
        for key, problems in zip(owner.values(), checked, strict=True):
            found[key] += problems
    return {key: problems for key, problems in found.items() if problems}


def _look(store: Store, key: str) -> tuple[list[Problem], list[str]]:
    """Check record and details of a trial; return the problems, and the blobs that it names."""
    blobs: list[str] = []
    record, details = store.record_file(key), store.details_file(key)
    problems = _problem(record, lambda: blobs.extend(store.read_with_blobs(key)[1]))
    return problems + _problem(details, lambda: files.read_checked(details)), blobs


def _look_at_blob(store: Store, name: str) -> list[Problem]:
    return _problem(store.folder / name, lambda: store.blob(name))


def _problem(path: Path, read: Callable[[], object]) -> list[Problem]:
    try:
        read()
    except UserError as error:
        return [(path, str(error))]
    return []


def _restore(store: Store, keys: set[str]) -> None:
    """Bring back what was archived and fits the plan again; of several, the newest."""
    for archive in sorted((store.folder / "archive").glob("*"), reverse=True):
        for path in sorted((archive / "trials").glob("*.json")):
            if path.stem in keys and not store.has(path.stem):
                _move(archive / "details" / path.name, store.details_file(path.stem))
                _move(path, store.record_file(path.stem))


def _archive(store: Store, others: Sequence[Stale]) -> Path | None:
    """Move records and their details away; pictures stay, other records may name them too."""
    if not others:
        return None
    archive = _free(store.folder / "archive" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for one in others:
        for path in (store.record_file(one.record.key), store.details_file(one.record.key)):
            _move(path, archive / path.relative_to(store.folder))
    return archive


def _move(path: Path, target: Path) -> None:
    """Move a file if it is there."""
    files.at(f"{path.parent.name} moves")
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.rename(target)
    files.at(f"{path.parent.name} moved")


def _free(path: Path) -> Path:
    """Return the path, numbered if there is something of its name."""
    number, numbered = 1, path
    while numbered.exists():
        number += 1
        numbered = path.with_name(f"{path.name}.{number}")
    return numbered
