"""Bring a results folder in line with a plan, before a run measures what is missing.

Only temporary files are deleted. Damaged files move to ``damaged/``, records of other code, data,
settings or versions to ``archive/<time>/``, each under the name that it had. A record whose key is
planned again comes back from there.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.experiment.trial import Trial, TrialSettings
from bench.machine import device_identity
from bench.measurements import MEASUREMENTS
from bench.store import claims, damage, files
from bench.store.damage import free, move
from bench.store.folder import RECONCILE, RUN, Store
from bench.store.records import Record, is_final

Tell = Callable[[str], None]

DEVICE = "device"  # in the provenance of what is timed: times of two are never compared
_WAIT = 0.2  # seconds until it is tried again


@dataclass(frozen=True)
class Stale:
    """A record of a planned trial that another version measured."""

    planned: str  # the key that the trial has in the plan
    record: Record
    differs: tuple[str, ...]  # what is not the same: settings, code, data, versions, device


@dataclass(frozen=True)
class Review:
    """What was found in a results folder, and done about it."""

    damaged: tuple[str, ...] = ()  # a line for each file that was moved to `damaged`
    archived: tuple[Stale, ...] = ()  # records of other versions that were moved to `archive`
    archive: Path | None = None  # where to
    accepted: Mapping[str, Stale] = field(default_factory=dict)  # key in the plan → taken for it

    def lines(self) -> Iterator[str]:
        """Say what was put aside, and what was taken although it differs."""
        for line in self.damaged:
            yield f"{line}; moved to damaged/, and measured again"
        elsewhere = [one for one in self.archived if DEVICE in one.differs]
        for records in _by_difference(elsewhere):
            yield f"{records}: measured again here (kept in {self.archive})"
        kept = f"kept in {self.archive}; --accept-stale takes finished ones as they are"
        for records in _by_difference(one for one in self.archived if one not in elsewhere):
            yield f"{records}: measured again ({kept})"
        for records in _by_difference(self.accepted.values()):
            yield f"{records}: taken as they are (--accept-stale)"


def _by_difference(stale: Iterable[Stale]) -> list[str]:
    """Return how many trials were stored, and for what other than is planned."""
    counts = Counter(", ".join(one.differs) or "experiments" for one in stale)
    return [
        f"{n} trial{'s' * (n > 1)} stored for other {what.replace(DEVICE, 'devices')}"
        for what, n in counts.items()
    ]


@contextlib.contextmanager
def joined(store: Store, trials: Sequence[Trial], tell: Tell) -> Iterator[contextlib.ExitStack]:
    """Use a results folder for the time of a ``with`` block; yield what ends having it alone.

    Until then no other run may look at what is stored, or change it: for ``review``, and for
    writing the plan. ``tell`` is given a line every minute of waiting for that.

    Raises:
        UserError: if a run is under way that measures some of the trials with other settings, code
            or data: each would put the results of the other aside.
    """
    path = store.claim_file(RUN)
    with contextlib.ExitStack() as alone:
        alone.enter_context(_alone(store, tell))
        handle = claims.take(path, needed=store.needs_locks, shared=True)
        while handle is None:  # another run is about to remove it
            time.sleep(_WAIT)
            handle = claims.take(path, needed=store.needs_locks, shared=True)
        try:
            if not claims.is_alone(handle):
                _refuse_another_plan(store, trials)
            yield alone
        finally:
            claims.leave(path, handle)


def review(store: Store, trials: Sequence[Trial], *, accept_stale: bool = False) -> Review:
    """Make a results folder ready for a run that has it alone.

    With ``accept_stale``, finished records of other code, data or versions are taken as they are;
    times of another device never are.
    UserError if something cannot be moved or removed.
    """
    keys = {trial.key for trial in trials}
    try:
        _remove_leftovers(store)
        _restore(store, keys - store.keys())
        found = stale(store, trials)
        accepted = _newest(store, found) if accept_stale else {}
        used = [one.record for one in accepted.values()]
        planned = {trial.key: (trial.seed, trial.arm.levels) for trial in trials}
        planned |= {record.key: (record.seed, record.arm) for record in used}
        damaged = damage.set_aside(store, planned)
        others = [one for one in found if accepted.get(one.planned) != one]
        archive = _archive(store, others)
    except OSError as error:
        why = f"cannot be moved or removed ({error.strerror})"
        raise files.Unwritable(f"{error.filename}: {why}") from error
    intact = {key: one for key, one in accepted.items() if store.has(one.record.key)}
    return Review(tuple(damaged), tuple(others), archive, intact)


def stale(store: Store, trials: Sequence[Trial]) -> list[Stale]:
    """List the records that are of a planned trial's arm and seed, but not of its key."""
    records = store.held(store.keys() - {trial.key for trial in trials})
    if not records:
        return []
    planned: dict[tuple[str, int], list[Trial]] = {}
    for trial in trials:
        planned.setdefault((_signature(trial.arm.levels), trial.seed), []).append(trial)
    # Where settings are tuned, an arm has several trials of a seed, and later ones are not planned
    # yet: a record of other settings may be one of these.
    tuned = any(len(trials) > 1 for trials in planned.values())
    found = []
    for record in records.values():
        same = planned.get((_signature(record.arm), record.seed), [])
        differing = [(trial, _differences(trial, record)) for trial in same]
        known = [one for one in differing if not (tuned and "settings" in one[1])]
        found += [Stale(trial.key, record, differs) for trial, differs in known[:1]]
    return found


def _signature(levels: Mapping[str, Any]) -> str:
    return json.dumps(levels, sort_keys=True)


def _differences(trial: Trial, record: Record) -> tuple[str, ...]:
    """Name what differs; a setting that is newer than the record may be at its default."""
    settings = trial.arm.settings
    defaults = {name: getattr(settings, name).defaults() for name in TrialSettings.model_fields}
    other = _contradict(trial.arm.effective, record.settings, defaults)
    ours, theirs = trial.provenance, record.provenance
    changed = [name for name in ours if theirs.get(name) != ours[name]]
    if DEVICE in changed and device_identity.recorded(record.environment) == ours[DEVICE]:
        changed.remove(DEVICE)  # an older record, whose key was not made of it
    return (*(["settings"] if other else []), *changed)


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
        if not {"settings", DEVICE} & {*one.differs}
        and is_final(one.record)
        and not store.has(one.planned)
    ]
    return {one.planned: one for one in sorted(usable, key=lambda one: one.record.started)}


def _refuse_another_plan(store: Store, trials: Sequence[Trial]) -> None:
    planned: dict[tuple[str, int], set[str]] = {}
    for trial in trials:
        planned.setdefault((_signature(trial.arm.levels), trial.seed), set()).add(trial.key)
    stored = store.read_plan()
    if stored is None:
        return
    for one in stored.trials:
        keys = planned.get((one.signature, one.seed), {one.key})
        if one.key not in keys and not one.stale:
            replicate = f"{MEASUREMENTS[stored.measure].replicate} {one.seed}"
            raise UserError(
                f"{store.folder}: another run is under way here, in which {one.label}, "
                f"{replicate} has other settings, code or data; wait for its end, or give this "
                "experiment another name (--set name=…)"
            )


@contextlib.contextmanager
def _alone(store: Store, tell: Tell) -> Iterator[None]:
    """Wait until no other run reconciles the folder, and keep others from it meanwhile."""
    for due in claims.minutes():
        with store.claim(RECONCILE) as claim:
            if claim is not None:
                yield
                return
        if due:
            who = claims.holder(store.claim_file(RECONCILE))
            tell(f"{store.folder}: waiting for another run that looks at what is stored ({who})")
        time.sleep(_WAIT)


def _remove_leftovers(store: Store) -> None:
    """Remove temporary files and claims of dead processes, and states of finished trials."""
    files.remove_leftovers(store.folder)
    for path in (store.folder / "claims").glob("*"):
        if path.name not in (RECONCILE, RUN):
            claims.remove_if_free(path)
    kept = [path.name for path in (store.folder / "partial").glob("*")]
    for key, record in store.held(kept).items():
        if is_final(record):
            store.drop_partial(key)


def _restore(store: Store, keys: set[str]) -> None:
    """Bring back what was archived and fits the plan again; of several, the newest."""
    for archive in sorted((store.folder / "archive").glob("*"), reverse=True):
        for path in sorted((archive / "trials").glob("*.json")):
            if path.stem in keys and not store.has(path.stem):
                move(archive / "details" / path.name, store.details_file(path.stem))
                move(path, store.record_file(path.stem))


def _archive(store: Store, others: Sequence[Stale]) -> Path | None:
    """Move records and their details away; pictures stay, other records may name them too."""
    if not others:
        return None
    archive = free(store.folder / "archive" / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    for one in others:
        for path in (store.record_file(one.record.key), store.details_file(one.record.key)):
            move(path, archive / path.relative_to(store.folder))
    return archive
