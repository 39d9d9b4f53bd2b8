"""``python -m bench mv``: rename an experiment."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.terminal import Results, experiments, say

Old = Annotated[str, typer.Argument(metavar="OLD", help="An experiment that has results.")]
New = Annotated[str, typer.Argument(metavar="NEW", help="What it is called from now on.")]


def mv(old: Old, new: New, results: Results = Path("results")) -> int:
    """Rename an experiment and keep its results; its YAML file wants the new name too.

    While a run or an evaluation uses the results, nothing is renamed, and the exit status 2.
    """
    from bench.store.rename import rename

    (store,) = experiments(results, [old])
    moved = rename(store, new)
    elsewhere = [] if results == Path("results") else ["--results", str(results)]
    report = shlex.join(["python", "-m", "bench", "report", new, *elsewhere])
    say(f"results in {moved.folder}; write `name: {new}` in its YAML file, then: {report}")
    return 0
