"""``python -m bench schema``: the JSON Schema of experiment files, or of records."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.terminal import write

Output = Annotated[Path | None, typer.Option(help="File to write; standard output if none.")]
Of = Annotated[Literal["experiment", "record"], typer.Option(help="Which files it describes.")]


def schema(output: Output = None, of: Of = "experiment") -> int:
    """Write the JSON Schema of experiment files, for editors, or of records, for scripts."""
    from bench.experiment import schema as experiments
    from bench.store import records

    content = experiments.schema() if of == "experiment" else records.schema()
    if output is None:
        sys.stdout.write(content)
    else:
        write(output, content.encode())
    return 0
