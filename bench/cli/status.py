"""``python -m bench status``: how far experiments are."""

from __future__ import annotations

from pathlib import Path

from bench.cli.terminal import Names, Results, experiments, table, warn
from bench.store.records import pending


def status(names: Names = None, results: Results = Path("results")) -> int:
    """Count the trials of each experiment: done, failed, and pending for `run` to measure."""
    rows = []
    for store in experiments(results, names):
        planned = store.read_plan()
        keys = [trial.key for trial in planned.trials] if planned else []
        held, damaged = store.intact(keys)
        for line in damaged:
            warn(line)
        done = sum(record.status == "done" for record in held.values())
        counts = (len(keys), done, len(held) - done, len(pending(held, keys)))
        rows.append((store.folder.name, *map(str, counts)))
    table(("experiment", "planned", "done", "failed", "pending"), rows)
    return 0
