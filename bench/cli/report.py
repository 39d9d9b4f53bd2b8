"""``python -m bench report``: pages and tables of what is stored."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.terminal import Names, Results, complain_of, experiments, say, warn
from bench.errors import UserError

Output = Annotated[Path | None, typer.Option(help="Folder for the reports instead of results.")]
Open = Annotated[bool, typer.Option("--open", help="Show the last of these files in a browser.")]
Formats = Annotated[str, typer.Option("--format", help="Of html, md, csv and tex, comma between.")]


def report(
    names: Names = None,
    results: Results = Path("results"),
    output: Output = None,
    formats: Formats = "html,md,csv,tex",
    show: Open = False,
) -> int:
    """Write the report of each experiment, from what is stored and nothing else.

    It is NAME/report in the folder of results, or in that of --output; then the results are only
    read. Unless a single one is named, index.html beside them lists all experiments. An experiment
    that is damaged is named, and the exit status 2.
    """
    # The matrices of a report are so small that Numpy's threads would mostly wait for each other,
    # by spinning; beside other work a report took several times as long for it.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bench.report import write as reports

    stores = experiments(results, names)
    wanted = [name.strip() for name in formats.split(",")]
    index = None if names and len(names) == 1 else results
    for page in (folder / "index.html" for folder in (results, output or results)):
        if index is not None and page.is_dir():
            warn(f"{page}: is a folder, so that no page lists the experiments")
            index = None
    unreadable: list[UserError] = []
    written = reports.write_all(
        stores, wanted, index=index, output=output, damaged=unreadable.append
    )
    path = None
    for path in written:
        say(f"report: {path}")
    if show and path is not None and not webbrowser.open(path.resolve().as_uri()):
        warn(f"--open: no browser could be started here; open {path} yourself")
    return complain_of(unreadable)
