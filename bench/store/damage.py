"""Find the damaged files of a results folder, and move them away so that trials run again."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.store import files
from bench.store.checks import Contradicted, sampled
from bench.store.files import Damaged
from bench.store.folder import Store
from bench.store.records import contradiction

Problem = tuple[Path, str]  # a file, and what is wrong with it

_READERS = 4  # threads that read and hash files


Planned = Mapping[str, tuple[int, Mapping[str, Any]]]  # key → seed, and levels of the arm


def set_aside(store: Store, planned: Planned) -> list[str]:
    """Move every damaged file of the plan and of some trials away; return a line for each.

    A trial is measured again if its record, its details or a picture of it is damaged. Pictures
    are shared, and any trial brings one back: the first of those that name it is measured again.
    """
    problems = _problem(store.folder / "plan.json", store.read_plan)
    aside = [path for path, _ in problems]
    stored = store.keys()
    there = {key: planned[key] for key in sorted(stored.intersection(planned))}
    found = _damage(store, there, complete=len(there) == len(planned))
    for key, of_trial in found.items():
        problems += of_trial
        aside += [*(path for path, _ in of_trial), store.record_file(key), store.details_file(key)]
    for path in dict.fromkeys(aside):
        move(path, free(store.folder / "damaged" / path.relative_to(store.folder)))
    return [line for _, line in problems]


def _damage(store: Store, planned: Planned, *, complete: bool) -> dict[str, list[Problem]]:
    """Return for each trial that has damaged files which they are and what is wrong.

    Until all trials are measured (complete), a missing picture may come with one of them.
    """
    found: dict[str, list[Problem]] = {}
    owner: dict[str, str] = {}  # of a blob: the first trial that names it
    with ThreadPoolExecutor(_READERS) as pool:
        checked = pool.map(functools.partial(_check_trial, store), planned.items())
        for key, (problems, blobs) in zip(planned, checked, strict=True):
            found[key] = problems
            for name in blobs:
                owner.setdefault(name, key)
        owner = {n: k for n, k in owner.items() if complete or (store.folder / n).exists()}
        of_blobs = pool.map(functools.partial(check_blob, store), owner)
        for key, problems in zip(owner.values(), of_blobs, strict=True):
            found[key] += problems
    return {key: problems for key, problems in found.items() if problems}


def _check_trial(
    store: Store, planned: tuple[str, tuple[int, Mapping[str, Any]]]
) -> tuple[list[Problem], list[str]]:
    """Check record and details of a trial; return the problems, and the blobs that it names."""
    key, (seed, arm) = planned
    record, details = store.record_file(key), store.details_file(key)
    blobs: list[str] = []
    try:
        found, blobs = store.read_with_blobs(key)
        if why := contradiction(found, seed, arm):
            raise Contradicted(record, why)
        if details.is_file():
            sampled(store, found)
            return [], blobs
    except Damaged as error:
        if error.path != record or isinstance(error, Contradicted):
            return [(error.path, str(error))], blobs
        problems = [(record, str(error))]
    except UserError as error:
        problems = [(record, str(error))]
    else:
        problems = []
    return problems + _problem(details, lambda: files.read_checked(details)), blobs


def check_blob(store: Store, name: str) -> list[Problem]:
    """Check a picture or checkpoint."""
    return _problem(store.folder / name, lambda: store.blob(name))


def _problem(path: Path, read: Callable[[], object]) -> list[Problem]:
    try:
        read()
    except UserError as error:
        return [(path, str(error))]
    return []


def move(path: Path, target: Path) -> None:
    """Move a file if it is there."""
    files.at(f"{path.parent.name} moves")
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        path.rename(target)
    files.at(f"{path.parent.name} moved")


def free(path: Path) -> Path:
    """Return the path, numbered if there is something of its name."""
    number, numbered = 1, path
    while numbered.exists():
        number += 1
        numbered = path.with_name(f"{path.name}.{number}")
    return numbered
