"""``python -m bench status``: how far experiments are."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table

from bench.cli.terminal import Names, Results, experiments, out, warn
from bench.store.records import pending


def status(names: Names = None, results: Results = Path("results")) -> int:
    """Count the trials of each experiment: done, failed, and pending for `run` to measure."""
    table = Table("experiment", "planned", "done", "failed", "pending", box=None)
    for store in experiments(results, names):
        planned = store.read_plan()
        keys = [trial.key for trial in planned.trials] if planned else []
        held, damaged = store.intact(keys)
        for line in damaged:
            warn(line)
        done = sum(record.status == "done" for record in held.values())
        counts = (len(keys), done, len(held) - done, len(pending(held, keys)))
        table.add_row(store.folder.name, *map(str, counts))
    out.print(table)
    return 0
