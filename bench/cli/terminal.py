"""What the commands share: the console, options, and how a line is printed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console

from bench.errors import UserError, nearest
from bench.store.files import write_whole
from bench.store.folder import Store

# Names may hold anything: "[/x]" is no markup, ":smile:" no emoji.
out = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Experiments; all if none is named.")
]
Results = Annotated[Path, typer.Option(help="Folder that holds all results.")]
Data = Annotated[Path, typer.Option(help="Folder of the datasets.", envvar="BENCH_DATA")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


def help_without_command(context: typer.Context) -> None:
    """Print the help on standard error where no command is named: nothing was done, status 2."""
    if context.invoked_subcommand is None:
        sys.stderr.write(f"{context.get_help()}\n")
        raise typer.Exit(2)


def say(line: str) -> None:
    """Print a line as it is, but for characters that cannot be seen."""
    out.print(_visible(line))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of cells under a header, in columns as wide as what is in them."""
    lines = [[_visible(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    padded = (map(set_cell_size, line, widths) for line in lines)
    out.print("\n".join("  ".join(cells).rstrip() for cells in padded))


def complain(line: str, *, kind: str = "error") -> None:
    """Print an error on one line of standard error."""
    sys.stderr.write(f"{kind}: {' '.join(_visible(line).split())}\n")


def complain_of(errors: Iterable[UserError]) -> int:
    """Print each mistake on a line of standard error; return the exit status of a command."""
    status = 0
    for error in errors:
        complain(str(error))
        status = 2
    return status


def warn(line: str) -> None:
    """Print a warning on one line of standard error."""
    complain(line, kind="warning")


def _visible(line: str) -> str:
    """Return text without what moves a cursor or cannot be encoded: names may hold anything."""
    return "".join(c if c.isprintable() else " " for c in line)


def write(path: Path, content: bytes) -> None:
    """Write a file that the user named, whole or not at all, or raise UserError."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: cannot be written (no such folder)")
    write_whole(path, content)


def check_free(path: Path, *, force: bool) -> None:
    """Raise UserError if there is a file of that name, and it is not to be replaced."""
    if path.exists() and not force:
        raise UserError(f"{path}: exists already; --force replaces it")


def experiments(results: Path, names: list[str] | None) -> list[Store]:
    """Return the stores of the named experiments, or of all in a folder of results.

    UserError if there is none, or none of such a name.
    """
    known = sorted(path.parent.name for path in results.glob("*/plan.json"))
    if not known:
        raise UserError(f"{results}: no experiment has been run here")
    found: dict[str, None] = {}
    for name in names or known:
        parts = [name] if name in known else _datasets_of(results, name, known)
        if not parts:
            raise UserError(f"{results}: no experiment {name!r}{nearest(name, known)}")
        found |= dict.fromkeys(parts)
    return [Store(results / name) for name in found]


def _datasets_of(results: Path, name: str, known: Iterable[str]) -> list[str]:
    """Return what an experiment on several datasets is stored as: a folder for each of them."""
    found = []
    for part in (part for part in known if part.startswith(f"{name}.")):
        plan = Store(results / part).read_plan()
        if plan is not None and plan.block is not None and plan.block.experiment == name:
            found.append(part)
    return found
