"""Files are there whole or not at all, and show when they are damaged."""

import errno
import json
import os
import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.experiment.code_digest import ROOT
from bench.store import claims, files
from bench.store.files import Damaged, Unwritable

BODY = {"number": 0.1 + 0.2, "text": "Größe ≤ 3", "nothing": None, "list": [1, {"a": []}]}
POINTS = ["begins", "created", "half written", "written", "flushed", "renamed", "done"]


def test_what_is_written_comes_back(tmp_path):
    files.write_json(tmp_path / "new" / "a.json", BODY)
    assert files.read_json(tmp_path / "new" / "a.json") == BODY
    assert (
        json.loads((tmp_path / "new" / "a.json").read_text(encoding="utf-8"))["schema"]
        == files.SCHEMA
    )
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.json", []

    def fsync(handle):
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        seen.append(("folder" if folder else os.fstat(handle).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    files.write_whole(path, b"12345")
    assert seen == [(5, False), ("folder", True)]


@pytest.mark.parametrize("harm", ["flip", "truncate"])
def test_damage_at_any_place_is_noticed_and_named(tmp_path, harm):
    path = tmp_path / "a.json"
    files.write_json(path, BODY)
    whole = path.read_bytes()
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        path.write_bytes(content if harm == "flip" else whole[:place])
        with pytest.raises(Damaged, match=r"a\.json: damaged") as error:
            files.read_json(path)
        assert error.value.path == path


@settings(deadline=None, max_examples=int(os.environ.get("BENCH_FUZZ", "100")))
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_raise_anything_but_damage(tmp_path_factory, content, checked):
    """Not even those whose checksum is right."""
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    if checked:
        content = (
            files._CHECKSUM_LINE % files.hashlib.sha256(content).hexdigest().encode() + content
        )
    path.write_bytes(content)
    with pytest.raises(Damaged):
        files.read_json(path)


def test_nesting_without_end_is_damage(tmp_path):
    content = b'"a":' + b"[" * 200_000
    digest = files.hashlib.sha256(content).hexdigest().encode()
    (tmp_path / "a.json").write_bytes(files._CHECKSUM_LINE % digest + content)
    with pytest.raises(Damaged, match="no JSON"):
        files.read_json(tmp_path / "a.json")


def test_another_schema_version_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SCHEMA", 99)
    files.write_json(tmp_path / "a.json", BODY)
    monkeypatch.undo()
    with pytest.raises(Damaged, match="schema version 99, this code reads 2"):
        files.read_json(tmp_path / "a.json")


def test_not_a_number_is_refused_rather_than_stored(tmp_path):
    with pytest.raises(ValueError, match="Out of range float"):
        files.write_json(tmp_path / "a.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("point", POINTS[:-2])
def test_a_full_disk_at_any_point_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, point):
    path = tmp_path / "a.json"
    files.write_json(path, {"old": 1})
    monkeypatch.setattr(files, "at", lambda here: full() if here.endswith(point) else None)
    with pytest.raises(Unwritable, match=r"a\.json: cannot be written \(No space left on device"):
        files.write_json(path, {"new": 1})
    assert files.read_json(path) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_system_that_writes_less_than_asked_is_asked_again(tmp_path, monkeypatch):
    class Slow:
        def __init__(self, file):
            self.file = file

        def write(self, content):
            return self.file.write(content[:3])

    with (tmp_path / "a").open("wb") as file:
        files._write_all(Slow(file), b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot be written"):
        files.write_json(tmp_path / "file" / "a.json", {})


KILLED = """
import os, signal, sys
from pathlib import Path
from bench.store import files
def die(point):
    if point == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
files.at = die
files.write_json(Path(sys.argv[1]) / "trials" / "a.json", {"new": 1})
"""


@pytest.mark.skipif(not claims.AVAILABLE, reason="no locks here")
def test_a_kill_at_any_point_leaves_a_whole_file_and_what_can_be_removed(tmp_path):
    path = tmp_path / "trials" / "a.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for point in POINTS:
        files.write_json(path, {"old": 1})
        command = [sys.executable, "-c", KILLED, str(tmp_path), f"trials {point}"]
        done = subprocess.run(command, env=environment, check=False)
        assert done.returncode == -signal.SIGKILL
        assert files.read_json(path) in ({"old": 1}, {"new": 1})
        stray = len(list(path.parent.iterdir())) - 1
        assert stray == (point in ("created", "half written", "written", "flushed"))
        files.remove_leftovers(tmp_path)
        assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_a_file_that_is_being_written_is_no_leftover(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "at", lambda _: files.remove_leftovers(tmp_path))
    files.write_whole(tmp_path / "a", b"content")
    assert (tmp_path / "a").read_bytes() == b"content"
