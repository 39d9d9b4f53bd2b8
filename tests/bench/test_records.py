"""The store: whole or absent, and damage is noticed."""

import dataclasses
import json
import os

import pytest

from bench import records
from bench.errors import UserError
from bench.records import Record, Store


def record(key="k1", **changes):
    values = {
        "key": key,
        "experiment": "small",
        "measure": "accuracy",
        "status": "done",
        "reason": None,
        "arm": {"train.loss": "ce"},
        "label": "ce",
        "seed": 0,
        "settings": {"train": {"loss": "ce"}},
        "provenance": {"data": "d", "code": "c"},
        "environment": {"python": "3"},
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 1.5,
        "result": {"metrics": {"mean_iou": 0.1 + 0.2, "iou": [None, 1e-300]}},
    }
    return Record(**{**values, **changes})


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results" / "small")


def test_what_is_stored_comes_back(store):
    written = record(result={"metrics": {"mean_iou": 0.1 + 0.2, "name": "Größe ≤ 3"}})
    store.commit(written, {"history": [{"epoch": 1}]})
    assert store.read("k1") == written
    assert store.details("k1")["history"] == [{"epoch": 1}]
    assert store.keys() == {"k1"}
    assert list(store.records()) == [written]


def test_an_empty_store_has_nothing_and_makes_nothing(store):
    assert store.keys() == set()
    assert store.read_plan() is None
    assert store.details("k1") == {}
    assert not store.folder.exists()


def test_a_plan_is_replaced(store):
    store.write_plan({"name": "small", "trials": []})
    store.write_plan({"name": "small", "trials": [1]})
    assert store.read_plan()["trials"] == [1]


def test_the_files_are_json_for_everybody(store):
    store.commit(record(), {})
    body = json.loads((store.folder / "trials" / "k1.json").read_text(encoding="utf-8"))
    assert body["schema"] == records.SCHEMA
    assert {field.name for field in dataclasses.fields(Record)} < set(body)


def test_not_a_number_is_refused_rather_than_stored(store):
    with pytest.raises(ValueError, match="Out of range float"):
        store.commit(record(result={"mean_iou": float("nan")}), {})
    assert store.keys() == set()


@pytest.mark.parametrize("place", [0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("harm", ["flip", "truncate"])
def test_damage_is_noticed_and_named(store, place, harm):
    store.commit(record(), {})
    path = store.folder / "trials" / "k1.json"
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    if harm == "flip":
        content[at] ^= 1
    path.write_bytes(content if harm == "flip" else content[:at])
    with pytest.raises(UserError, match=r"k1\.json: damaged"):
        store.read("k1")


def test_another_schema_version_is_named(store, monkeypatch):
    monkeypatch.setattr(records, "SCHEMA", 99)
    store.commit(record(), {})
    monkeypatch.undo()
    with pytest.raises(UserError, match="schema version 99, this code reads 1"):
        store.read("k1")


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(store, monkeypatch, step):
    store.commit(record(seconds=1.0), {})

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    if step == "write":
        monkeypatch.setattr(records.Path, "open", fail)
    elif step == "fsync":
        monkeypatch.setattr(records.os, "fsync", fail)
    else:
        monkeypatch.setattr(records.Path, "replace", fail)
    with pytest.raises(UserError, match=r"\.json: cannot be written \(No space left"):
        store.commit(record(seconds=2.0), {})
    monkeypatch.undo()
    assert store.read("k1").seconds == 1.0
    assert not [path for path in store.folder.rglob("*") if path.name.startswith(".tmp-")]


def test_the_record_is_the_last_thing_written(store, monkeypatch):
    """Whoever sees a record can read its details: they were there before it."""
    order = []
    real = records._write_whole
    monkeypatch.setattr(
        records,
        "_write_whole",
        lambda path, content: (order.append(path.parent.name), real(path, content)),
    )
    store.commit(record(), {"history": []})
    assert order == ["details", "trials"]


def test_blobs_are_named_by_what_they_hold(store):
    name = store.put(b"picture", ".png")
    assert store.put(b"picture", ".png") == name
    assert store.blob(name) == b"picture"
    assert len(list((store.folder / "blobs").iterdir())) == 1
    (store.folder / name).write_bytes(b"another")
    with pytest.raises(UserError, match="damaged"):
        store.blob(name)
    (store.folder / name).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        store.blob(name)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="results cannot be written"):
        Store(tmp_path / "file" / "small").check_writable()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="results cannot be written"):
        Store(tmp_path / "small").check_writable()
