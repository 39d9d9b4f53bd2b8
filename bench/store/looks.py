"""At which numbers of seeds comparisons were reported, and what was declared at the time.

``looks.json`` of a results folder holds it. Who adds seeds because the last report decided nothing
finds false differences more often than α says; a report can only know if somebody counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from bench.store import files
from bench.store.files import Unwritable
from bench.store.folder import Store
from bench.store.stored import Key, Stored, Whole, validated


class ReportedLook(Stored):
    """A report that compared arms."""

    seeds: Whole = Field(description="with which arms were compared")
    declared: tuple[Whole, ...] = Field(description="numbers of seeds at which to look, then")
    first: Key = Field(description="the first trial of the baseline; other trials, other looks")


class ReportedLooks(Stored):
    """All reports of a results folder that compared arms at a new number of seeds."""

    looks: tuple[ReportedLook, ...] = ()


def read(store: Store) -> tuple[ReportedLook, ...]:
    """Return the looks that were counted; Damaged names a file that cannot be used."""
    path = store.folder / "looks.json"
    if not path.exists():
        return ()
    return validated(ReportedLooks, files.read_checked(path), path).looks


def remember(store: Store, look: ReportedLook) -> None:
    """Add a look to those that were counted, unless it is there; a folder may be read-only."""
    known = read(store)
    if look in known:
        return
    found = ReportedLooks(looks=(*known, look))
    try:
        files.write_json(store.folder / "looks.json", found.model_dump(mode="json"))
    except Unwritable:
        return


def undeclared(
    known: Iterable[ReportedLook], now: ReportedLook, *, complete: bool
) -> tuple[int, ...]:
    """Return at which other numbers of seeds the same trials were compared without a declaration.

    Reports made while a declared number of seeds is being measured do no harm once all of them
    are there: nothing was stopped or added for what they said. Nor do those at declared looks.
    """

    def harmless(look: ReportedLook) -> bool:
        return look.declared == now.declared and (complete or len(now.declared) > 1)

    same = (look for look in known if look.first == now.first and not harmless(look))
    return tuple(sorted({look.seeds for look in same} - {now.seeds}))
