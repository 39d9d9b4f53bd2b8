"""The command line: ``python -m bench run``, ``report`` and so on; ``--help`` lists them.

Each command is a file of ``bench.cli`` and imports late what takes long to import. Only ``main``
turns a user's mistake into a line on standard error and exit status 2.
"""

from __future__ import annotations

import os
import sys

import typer

from bench.cli import (
    compare,
    convert,
    data,
    doctor,
    evaluate,
    export,
    mv,
    predict,
    report,
    run,
    schema,
    status,
    streams,
)
from bench.cli.terminal import HELP_OPTIONS, complain, complain_of, help_without_command, warn
from bench.errors import UserError

BROKEN_PIPE = 128 + 13  # exit status, as shells give it to what SIGPIPE ends

app = typer.Typer(
    help="U-Net ablations: run an experiment, report on it, look after its data.",
    callback=help_without_command,
    invoke_without_command=True,
    context_settings=HELP_OPTIONS,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(doctor.doctor)
app.command()(run.run)
app.command()(evaluate.evaluate)
app.command()(predict.predict)
app.command()(status.status)
app.command()(report.report)
app.command()(compare.compare)
app.command()(mv.mv)
app.command()(schema.schema)
app.command()(export.export)
app.command()(convert.convert)
app.add_typer(data.app, name="data")


def main(arguments: list[str] | None = None) -> int:
    """Run a command line and return its exit status: 0, 1, 2 or 130 (see README)."""
    # Torch's CPU threads wait for each other by spinning, with GNU's OpenMP for milliseconds.
    # Beside two other busy processes a training step took 50 times as long for it; with a
    # shorter patience twice as long, and on a quiet machine no longer than before.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    with streams.lasting() as output:
        status = _status(arguments)
        output.flush()
        if isinstance(output.failure, BrokenPipeError):
            return status if status or not output.needed else BROKEN_PIPE
        if output.failure is not None:
            why = f"standard output cannot be written ({output.failure.strerror})"
            complain(why, kind="error" if output.needed else "warning")
            return status or (2 if output.needed else 0)
        return status


def _status(arguments: list[str] | None) -> int:
    """Run a command and return its exit status; every mistake is said in one line."""
    if sys.flags.optimize > 1:
        warn("python -OO strips docstrings, and with them what --help says of commands; use -O")
    try:
        return int(app(arguments, prog_name="python -m bench", standalone_mode=False) or 0)
    except UserError as error:
        return complain_of(error.each())
    except Exception as error:
        # Mistakes in the command line itself. Typer raises click's class or its own, by version.
        if not hasattr(error, "format_message"):
            raise
        complain(error.format_message())
    return 2


if __name__ == "__main__":
    sys.exit(main())
