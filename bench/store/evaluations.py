"""Where stored networks that were scored again have their records, and who looked at test images.

Each kind of evaluation is a results folder of its own in ``evaluations/`` of an experiment's, with
the same arms and seeds: ``evaluations/test``, ``evaluations/val-rotations``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.store.folder import Store
from bench.store.records import Record

FOLDER = "evaluations"
WEIGHTS = "weights"  # what the provenance of an evaluation calls the digest of the weights


@dataclass(frozen=True)
class Looks:
    """How often the test images of an experiment were looked at.

    ``times`` is how often the arm and seed was scored on them that was scored most often;
    ``networks`` counts all scores, ``arms`` are labels, ``days`` are dates, each sorted.
    """

    times: int = 0
    networks: int = 0
    arms: tuple[str, ...] = ()
    days: tuple[str, ...] = ()


def store_of(store: Store, split: str, tta: str | None) -> Store:
    """Return where an experiment's networks are stored as scored on a split, by other views."""
    name = split if tta is None else f"{split}-{tta}"
    return Store(store.folder / FOLDER / name, needs_locks=store.needs_locks)


def stores(store: Store) -> list[Store]:
    """Return the results folders of all evaluations of an experiment, those of test first."""
    folders = [path.parent for path in (store.folder / FOLDER).glob("*/plan.json")]
    ordered = sorted(folders, key=lambda folder: (not folder.name.startswith("test"), folder.name))
    return [Store(folder) for folder in ordered]


def test_looks(store: Store) -> Looks:
    """Count what was scored on test images, also what has been archived since."""
    scored: Counter[tuple[str, int]] = Counter()
    arms, days = set(), set()
    for record in _on_test(store):
        scored[signature(record.arm), record.seed] += 1
        arms.add(record.label)
        days.add(record.started[:10])
    times = max(scored.values(), default=0)
    return Looks(times, scored.total(), tuple(sorted(arms)), tuple(sorted(days)))


def signature(arm: Mapping[str, Any]) -> str:
    """Return the levels of an arm as text, by which arms are told apart."""
    return json.dumps(arm, sort_keys=True)


def _on_test(store: Store) -> Iterator[Record]:
    """Yield every readable record of a score on test images, each network and key once."""
    seen = set()
    for one in (store, *stores(store)):
        archives = sorted((one.folder / "archive").glob("*"))
        for place in (one, *map(Store, archives)):
            for record in place.held(place.keys()).values():
                result = record.accuracy
                if result is not None and result.split == "test" and record.key not in seen:
                    seen.add(record.key)
                    yield record
