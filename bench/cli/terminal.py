"""What every verb shares: the console, its options, and how a line is said."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.errors import UserError

out = Console(soft_wrap=True, highlight=False)

Results = Annotated[Path, typer.Option(help="Folder that holds all results.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the datasets [BENCH_DATA, or data].")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")
]


def say(line: str) -> None:
    """Print a line as it is, but for what would not be seen."""
    out.print(_visible(line), markup=False)


def complain(line: str) -> None:
    """Print one line on standard error."""
    sys.stderr.write(f"error: {' '.join(_visible(line).split())}\n")


def _visible(line: str) -> str:
    """Return text without what moves a cursor or cannot be encoded: names may hold anything."""
    return "".join(c if c.isprintable() else " " for c in line)


def warn(line: str) -> None:
    """Print one line on standard error that is worth knowing and no error."""
    sys.stderr.write(f"warning: {' '.join(_visible(line).split())}\n")


def write(path: Path, content: str) -> None:
    """Write a text file that the user named.

    Raises:
        UserError: if it cannot be written.
    """
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def data_root(given: Path | None) -> Path:
    """Return the folder of the datasets."""
    return given or Path(os.environ.get("BENCH_DATA") or "data")
