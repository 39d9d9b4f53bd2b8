"""``python -m bench report``: pages and tables of what is stored."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.terminal import Names, Results, experiments, say

Formats = Annotated[str, typer.Option("--format", help="Of html, md, csv and tex, comma between.")]


def report(
    names: Names = None, results: Results = Path("results"), formats: Formats = "html,md,csv,tex"
) -> int:
    """Write the report of each experiment, from what is stored and nothing else.

    Unless a single one is named, also results/index.html, which lists them all.
    """
    # The matrices of a report are so small that Numpy's threads would mostly wait for each other,
    # by spinning; beside other work a report took several times as long for it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bench.report import write as reports

    stores = experiments(results, names)
    wanted = [name.strip() for name in formats.split(",")]
    index = None if names and len(names) == 1 else results
    for path in reports.write_all(stores, wanted, index=index):
        say(f"report: {path}")
    return 0
