"""Finished trials whose weights are stored, so that they can be scored without training again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bench.errors import UserError
from bench.store.details import Details
from bench.store.folder import Store
from bench.store.records import Record
from bench.store.results import AccuracyResult


@dataclass(frozen=True)
class StoredTraining:
    """A finished trial of a results folder (``store``), which holds its weights.

    Its record and details lie in ``records``: the folder itself, or one of its archives. ``shared``
    tells whether what is made of it is stored in the same folder, and may name its weights.
    """

    store: Store
    records: Store
    key: str
    shared: bool = True

    def record(self) -> Record:
        """Return its record; UserError if it cannot be read."""
        return self.records.read(self.key)

    def details(self) -> Details:
        """Return its details; UserError if they cannot be read."""
        return self.records.details(self.key)


def weights_of(record: Record) -> str | None:
    """Return the blob of the weights of a trial; None if it has none or is not finished."""
    result: AccuracyResult | None = record.accuracy
    return None if result is None or record.status != "done" else result.checkpoint


def find(store: Store, wanted: Mapping[str, Iterable[str]]) -> dict[str, StoredTraining]:
    """Return for some trials the training whose weights are theirs too, where one is intact.

    ``wanted`` is key of a trial → keys of the trials that train the same network.
    """
    places = dict(_places(store))
    found = {}
    for key, same in wanted.items():
        for other in same:
            training = StoredTraining(store, places[other], other) if other in places else None
            if training is not None and _is_intact(training):
                found[key] = training
                break
    return found


def anything_stored(store: Store) -> bool:
    """Tell whether a results folder holds the record of any trial."""
    return any(True for _ in _places(store))


def _places(store: Store) -> Iterator[tuple[str, Store]]:
    """Yield key and place of every record; of a key the last one is the newest."""
    for archive in sorted((store.folder / "archive").glob("*")):
        yield from dict.fromkeys(Store(archive).keys(), Store(archive)).items()
    yield from dict.fromkeys(store.keys(), store).items()


def _is_intact(training: StoredTraining) -> bool:
    try:
        weights = weights_of(training.record())
        if weights is None:
            return False
        training.store.blob(weights)
        training.details()
    except UserError:
        return False
    return True
