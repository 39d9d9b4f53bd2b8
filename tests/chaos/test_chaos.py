"""Sweeps that are killed, shared, damaged or on a full disk: nothing lost, nothing twice.

Small here; ``tox -e chaos`` runs everything at full size.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bench.experiment.code_digest import ROOT
from bench.store import claims

FULL = bool(os.environ.get("BENCH_CHAOS"))
ZYGOTE = Path(__file__).with_name("zygote.py")
pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not claims.AVAILABLE, reason="no fork or no locks here"
)


@pytest.fixture(scope="module")
def zygote():
    """The process that all commands share."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(ZYGOTE)], env=environment, **pipes) as process:
        yield process
        process.kill()  # it is idle, and has nothing to put away


@pytest.fixture
def chaos(zygote, tmp_path, record_property):
    """Return a function that runs a command of the zygote and returns what it found."""

    def run(command, size):
        zygote.stdin.write(json.dumps([command, size, str(tmp_path)]) + "\n")
        zygote.stdin.flush()
        limit = threading.Timer(7200, zygote.kill)
        limit.start()
        answer = json.loads(zygote.stdout.readline())
        limit.cancel()
        assert "wrong" not in answer, answer["wrong"]
        found = answer["found"]
        print(command, found)  # noqa: T201
        record_property(command, found)
        return found

    return run


def nothing_went_wrong(found):
    wrong = {"tables that differ": 0, "lost": 0, "twice": 0, "stray": 0}
    assert {name: found[name] for name in wrong} == wrong


def test_killed_at_random_moments(chaos):
    found = chaos("kills", 200 if FULL else 10)
    nothing_went_wrong(found)
    if FULL:  # of ten kills, on a busy machine, none may come while a state is kept
        assert found["with a kept state"] > 0


def test_killed_in_the_middle_of_training(chaos):
    found = chaos("training", 20 if FULL else 1)
    nothing_went_wrong(found)


def test_killed_at_every_named_point(chaos):
    found = chaos("points", int(FULL))
    nothing_went_wrong(found)
    assert found["points"] >= 30


def test_two_runners_share_a_folder(chaos):
    nothing_went_wrong(chaos("pairs", 50 if FULL else 2))


def test_every_damaged_file_is_found_named_and_mended(chaos):
    found = chaos("damage", 20 if FULL else 1)
    assert found["harmed"] >= (20 if FULL else 10)
    assert found["tables that differ"] == 0
    assert found["found"] == found["named"] == found["mended"] == found["harmed"]


def test_a_full_disk(chaos):
    found = chaos("disk", 40 if FULL else 3)
    if found is None:
        pytest.skip("no right to mount a small disk")
    nothing_went_wrong(found)
    assert found["one line"] == found["full"] > 0
    if FULL:
        assert {"blobs", "details", "partial", "trials"} <= set(found["met"])


def test_whatever_happens_in_any_order(chaos):
    found = chaos("machine", 300 if FULL else 2)
    assert found["examples"] >= 2
    assert found["results checked"] > 0
