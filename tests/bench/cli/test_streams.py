"""Output that cannot be written: a run goes on, other commands say so, and nothing has a traceback."""

import contextlib
import errno
import io
import os
import sys

import pytest

from bench.__main__ import main
from bench.cli import streams
from bench.store.folder import Store

FULL = "/dev/full"
needs_full = pytest.mark.skipif(not os.path.exists(FULL), reason="no /dev/full here")  # noqa: PTH110
TINY = ["--set", "train.threads=1", "--set", "model.base_channels=2", "--set", "model.depth=1"]


@contextlib.contextmanager
def given(encoding="utf-8", **places):
    """Let standard streams go to files, opened as Python opens its own."""
    with contextlib.ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
        for name, place in places.items():
            file = opened.enter_context(open(place, "w", encoding=encoding))  # noqa: PTH123
            patch.setattr(sys, name, file)
        yield  # closing a file flushes it, which fails where anything is left to be written


@needs_full
@pytest.mark.parametrize("name", ["stdout", "stderr", "both"])
def test_a_run_outlives_its_log(here, name):
    told = {"stdout": "out", "stderr": "err"}
    places = told | {stream: FULL for stream in told if name in (stream, "both")}
    with given(**places):
        status = main(["run", "small.yaml", *TINY])
    assert status == 0
    records = list(Store(here / "results" / "small").records())
    assert [record.status for record in records] == ["done"] * 4
    if name == "stdout":
        line = "warning: standard output cannot be written (No space left on device)\n"
        assert (here / "err").read_text() == line
    if name == "stderr":
        assert "[4/4]" in (here / "out").read_text()


@needs_full
@pytest.mark.parametrize(
    "arguments",
    [["schema"], ["status"], ["run", "small.yaml", "--dry-run"], ["data", "list"], ["report"]],
)
def test_what_nobody_can_read_is_an_error(finished, without_figures, arguments):
    with given(stdout=FULL, stderr="err"):
        status = main(arguments)
    assert status == 2
    line = "error: standard output cannot be written (No space left on device)\n"
    assert (finished / "err").read_text() == line


def test_a_reader_that_has_enough_is_no_mistake(here):
    reading, writing = os.pipe()
    os.close(reading)
    with given(stdout=writing, stderr="err"):
        status = main(["schema"])
    assert status == 141
    assert (here / "err").read_text() == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_characters_that_an_encoding_lacks_are_spelt(finished, encoding):
    with given(encoding, stdout="out", stderr="err"):
        assert main(["run", "small.yaml", "--dry-run"]) == 0
        assert main(["run", "·✓\udcff.yaml"]) == 2
    out, err = (
        (finished / name).read_bytes().decode("ascii" if encoding == "ascii" else encoding)
        for name in ("out", "err")
    )
    assert ("0✓ 1✓" if encoding == "utf-8" else r"0\u2713 1\u2713") in out
    assert err.startswith("error: " + (r"\xb7" if encoding == "ascii" else "·"))


def test_streams_that_were_closed_before_the_start(here, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["schema"]) == 0
    assert main(["run", "gone.yaml"]) == 2
    assert (sys.stdout, sys.stderr) == (None, None)


def test_a_run_of_a_file_whose_name_is_no_text(finished, monkeypatch):
    name = os.fsdecode(b"a\xff.yaml")
    try:
        (finished / name).write_text((finished / "small.yaml").read_text())
    except OSError:
        pytest.skip("names are text here")
    monkeypatch.setattr(sys, "argv", ["bench", "run", name])
    assert main(["run", name, "--quiet"]) == 0
    plan = Store(finished / "results" / "small").read_plan()
    assert r"a\udcff.yaml" in plan.command


def test_what_was_written_before_a_failure_is_there():
    class Terminal(io.StringIO):
        def write(self, text):
            if "b" in text:
                raise OSError(errno.EIO, "gone")
            return super().write(text)

    terminal = Terminal()
    stream = streams.Stream(terminal)
    assert [stream.write(text) for text in ("a", "bb", "a")] == [1, 2, 1]
    assert terminal.getvalue() == "aa"
    assert stream.failure.errno == errno.EIO
