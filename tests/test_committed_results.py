"""Committed results: reports are what their records make of them, and records what the code does."""

import shlex
import shutil

import pytest

from bench.__main__ import main
from bench.report import write
from bench.store.folder import Store
from tests.shared import committed_results

STORES = committed_results()
MADE = {"csv": "*.csv", "md": "report.md", "tex": "report.tex"}


def test_there_are_committed_results():
    assert STORES


@pytest.mark.parametrize("store", STORES, ids=lambda path: path.name)
def test_reports_are_made_again_byte_for_byte(store, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "encode", lambda figure, suffix: b"")  # no figure is compared
    copy = tmp_path / store.name
    shutil.copytree(store, copy, ignore=shutil.ignore_patterns("report"))
    write.write(Store(copy), list(MADE))
    committed = {path.name for pattern in MADE.values() for path in store.glob(f"report/{pattern}")}
    assert committed
    for name in sorted(committed):
        assert (copy / "report" / name).read_bytes() == (store / "report" / name).read_bytes(), name


@pytest.mark.parametrize("store", STORES, ids=lambda path: path.name)
def test_records_name_no_place_of_a_machine(store):
    texts = (path.read_text(encoding="utf-8") for path in store.rglob("*.json"))
    assert not [place for text in texts for place in ("/home/", "/root/", "/tmp/") if place in text]


# Timings are those of one machine; the other experiments are of files that are not in the project.
ANYWHERE = [
    store
    for store in STORES
    if {trial.settings["data"]["name"] for trial in Store(store).records()} <= {"scenes", "cells"}
    and "throughput" not in {trial.measure for trial in Store(store).records()}
]


@pytest.mark.parametrize("store", ANYWHERE, ids=lambda path: path.name)
def test_records_are_those_of_the_code_as_it_is(store, capsys, monkeypatch):
    monkeypatch.chdir(store.parent.parent)
    python, dash_m, bench, *command = shlex.split(Store(store).read_plan().command)
    assert (python, dash_m, bench) == ("python", "-m", "bench")
    assert main([*command, "--dry-run", "--device", "cpu"]) == 0
    planned = len(list(Store(store).records()))
    assert f"{planned} trials, {planned} of them stored" in capsys.readouterr().out
