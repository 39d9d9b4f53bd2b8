"""Run the notebook of this folder and store what it prints: ``python docs/run_notebook.py``.

Jupyter is not needed: the code of each cell is executed here as it stands, in the folder of the
notebook, and what it prints and the value of its last line become the cell's outputs.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd

NOTEBOOK = Path(__file__).resolve().parent / "python.ipynb"


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook with the outputs that its cells give now, run in the current folder.

    What a cell raises is raised here.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, count = [], 0
    with pd.option_context("display.max_columns", None, "display.width", 120):  # no terminal's
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                count += 1
                outputs = _outputs("".join(cell["source"]), names, count)
                cell = {**cell, "execution_count": count, "outputs": outputs}
            cells.append(cell)
    return {**notebook, "cells": cells}


def _outputs(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    *before, last = ast.parse(source).body
    shown = isinstance(last, ast.Expr)
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed):
        body = ast.Module(before if shown else [*before, last], type_ignores=[])
        exec(compile(body, f"cell {count}", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"name": "stdout", "output_type": "stream", "text": text})
    if value is not None:
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_().splitlines(keepends=True)
        result = {"output_type": "execute_result", "execution_count": count, "metadata": {}}
        outputs.append({**result, "data": data})
    return outputs


def main() -> int:
    """Write the notebook anew."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    os.chdir(NOTEBOOK.parent)
    text = json.dumps(executed(notebook), indent=1, ensure_ascii=False) + "\n"
    NOTEBOOK.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{NOTEBOOK}: {len(notebook['cells'])} cells\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
