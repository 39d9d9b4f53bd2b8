"""``bench.run`` and ``bench.load``: what the commands do, from Python."""

import subprocess
import sys

import pandas as pd
import pytest

import bench
from bench.errors import UserError
from bench.experiment.code_digest import ROOT
from bench.store.folder import Store


def test_a_run_goes_on_from_what_the_command_stored(finished):
    store = Store(finished / "results" / "small")
    before = store.keys()
    found = bench.run("small.yaml", quiet=True)
    assert store.keys() == before
    assert list(found.trials["status"]) == ["done"] * 4
    assert list(found.arms["arm"]) == ["ce", "dice"]
    assert list(found.comparisons["level"]) == ["dice"]
    assert store.read_plan().command == "python -m bench run small.yaml"


def test_results_are_loaded_as_data_frames(finished_run):
    found = bench.load(finished_run / "small")
    for table in (found.trials, found.arms, found.comparisons):
        assert isinstance(table, pd.DataFrame)
    assert found.trials["mean_iou"].notna().all()


def test_mistakes_are_named(here):
    with pytest.raises(UserError, match="nowhere: holds no experiment"):
        bench.load("nowhere")
    with pytest.raises(UserError, match="did you mean 'epochs'"):
        bench.run("small.yaml", overrides=["train.epochz=2"])


def test_importing_bench_imports_nothing_else():
    check = (
        "import bench, sys; print([m for m in ('torch', 'pandas', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
