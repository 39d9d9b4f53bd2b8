"""Every committed report under ``results/`` is what its records make of it, byte for byte."""

import shutil

import pytest

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
