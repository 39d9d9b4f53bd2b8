"""``python -m bench status``: how far experiments are."""

from __future__ import annotations

from pathlib import Path

from bench.cli.terminal import Names, Results, complain_of, experiments, table, warn
from bench.errors import UserError
from bench.store.records import pending


def status(names: Names = None, results: Results = Path("results")) -> int:
    """Count the trials of each experiment: done, failed, and pending for `run` to measure.

    Details and pictures are not read: `report` and `run` check these too.
    """
    rows = []
    unreadable: list[UserError] = []
    for store in experiments(results, names):
        try:
            planned = store.read_plan()
        except UserError as error:
            unreadable.append(error)
            continue
        keys = [trial.key for trial in planned.everything] if planned else []
        held, damaged = store.of_plan(planned) if planned else ({}, [])
        for line in damaged:
            warn(line)
        done = sum(record.status == "done" for record in held.values())
        counts = (len(keys), done, len(held) - done, len(pending(held, keys)))
        more = planned.more if planned else 0
        uncompiled = sum(record.uncompiled is not None for record in held.values())
        notes = [f"at most {more} more follow"] if more else []
        notes += [f"{uncompiled} to be compiled and not, or in part"] if uncompiled else []
        rows.append((store.folder.name, *map(str, counts), "; ".join(notes)))
    table(("experiment", "planned", "done", "failed", "pending", ""), rows)
    return complain_of(unreadable)
