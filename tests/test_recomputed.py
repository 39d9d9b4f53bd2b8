"""A program that shares nothing but the network with the harness finds the stored mean IoU."""

import ast
import importlib.util
import json
import shutil
import sys

import pytest

from tests.bench import real_trials
from tests.conftest import ROOT

PROGRAM = ROOT / "examples/recompute_miou.py"


@pytest.fixture
def program():
    spec = importlib.util.spec_from_file_location("recompute_miou", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_imports_nothing_of_ours_but_the_network():
    allowed = {"numpy", "torch", "PIL", "safetensors", "unet", *sys.stdlib_module_names}
    for node in ast.walk(ast.parse(PROGRAM.read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= allowed
        if isinstance(node, ast.ImportFrom):
            assert node.module.partition(".")[0] in allowed
            assert node.module != "unet" or [alias.name for alias in node.names] == ["UNet"]


def test_it_finds_the_stored_mean_iou(program, shared_folder, tmp_path, capsys):
    store = real_trials.scored(shared_folder / "real_trials", 8)
    dataset = store.folder.parent / "data" / "toy"
    assert program.main(store.folder, dataset) == 0
    assert "2 trials compared, 0 differ" in capsys.readouterr().out

    other = tmp_path / "other"
    shutil.copytree(store.folder, other)
    for file in (other / "trials").glob("*.json"):
        record = json.loads(file.read_text())
        record["result"]["metrics"]["mean_iou"] += 2e-12
        file.write_text(json.dumps(record))
    assert program.main(other, dataset) == 2
