"""The notebook holds what its code gives."""

import importlib.util
import json
import re
from pathlib import Path

import pandas as pd
import pytest

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTEBOOK = DOCS / "python.ipynb"
spec = importlib.util.spec_from_file_location("run_notebook", DOCS / "run_notebook.py")
run_notebook = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run_notebook)


@pytest.fixture
def notebook():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def in_docs(monkeypatch):
    monkeypatch.chdir(DOCS)
    yield
    pd.reset_option("display.")


def test_its_outputs_are_what_its_cells_give(notebook):
    assert run_notebook.executed(notebook) == notebook


def test_it_names_no_place_of_a_machine(notebook):
    outputs = [cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(outputs[1:])
    assert not re.search(r"/(home|root|tmp|work|usr)/", json.dumps(notebook))


def cells(*sources):
    return {"cells": [{"cell_type": "code", "source": [one], "outputs": []} for one in sources]}


def test_a_cell_gives_what_it_prints_and_its_last_value():
    first, second, third = run_notebook.executed(
        cells("x = 2\nprint('a')\nprint('b')\nx + 1", "x * 2;\ny = x", "y")
    )["cells"]
    assert first["outputs"][0]["text"] == ["a\n", "b\n"]
    assert first["outputs"][1]["data"] == {"text/plain": ["3"]}
    assert second["outputs"] == []
    assert (third["outputs"][0]["data"]["text/plain"], third["execution_count"]) == (["2"], 3)


def test_an_error_in_a_cell_is_no_output():
    with pytest.raises(ZeroDivisionError):
        run_notebook.executed(cells("1 / 0"))
