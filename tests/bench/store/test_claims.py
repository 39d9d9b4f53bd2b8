"""Claims: one owner at a time, and free when the owner is dead."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time

import pytest

from bench.errors import UserError
from bench.experiment.code_digest import ROOT
from bench.store import claims, locks

KINDS = pytest.mark.parametrize("lease", [None, 5.0], ids=["lock", "lease"])
pytestmark = pytest.mark.skipif(not locks.AVAILABLE, reason="no locks here")


@KINDS
def test_a_claim_has_one_owner(tmp_path, lease):
    claim = claims.take(tmp_path / "claims", "k", lease)
    assert claim.held()
    assert claims.take(tmp_path / "claims", "k", lease) is None
    other = claims.take(tmp_path / "claims", "other", lease)
    assert other is not None
    claim.release()
    again = claims.take(tmp_path / "claims", "k", lease)
    assert again is not None
    for taken in (again, other):
        taken.release()
    assert list((tmp_path / "claims").iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from bench.records import claims
assert claims.take(Path(sys.argv[1]), "k", None)
print("taken", flush=True)
time.sleep(60)
"""


def holder(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"taken\n"
    return process


def test_a_dead_owner_gives_its_lock_back_at_once(tmp_path):
    with holder(tmp_path) as process:
        assert claims.take(tmp_path, "k", None) is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        claim = claims.take(tmp_path, "k", None)
        assert claim is not None
        claim.release()


def test_a_forked_child_does_not_keep_the_lock_of_its_parent(tmp_path):
    claim = claims.take(tmp_path, "k", None)
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(theirs, b"x")
        time.sleep(30)
        os._exit(0)
    try:
        os.read(ours, 1)
        os.close(claim.handle)  # as if the parent were dead
        locks._held.discard(claim.handle)
        assert claims.take(tmp_path, "k", None) is not None
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ours)
        os.close(theirs)


def test_a_lease_that_is_kept_outlives_its_time(tmp_path):
    claim = claims.take(tmp_path, "k", 0.4)
    time.sleep(0.8)
    assert claims.take(tmp_path, "k", 0.4) is None
    assert claim.held()
    claim.release()


def test_a_lease_that_is_not_kept_is_taken_over_and_its_owner_knows(tmp_path):
    claim = claims.take(tmp_path, "k", 60.0)
    os.utime(claim.path, (1, 1))
    taken = claims.take(tmp_path, "k", 60.0)
    assert taken is not None
    assert taken.held()
    assert not claim.held()
    claim.release()
    assert taken.held()
    assert claims.take(tmp_path, "k", 60.0) is None
    taken.release()
    assert not claim.held()
    assert list(tmp_path.iterdir()) == []


def race(folder, lease, barrier, wins):
    barrier.wait()
    for _ in range(200):
        claim = claims.take(folder, "k", lease)
        if claim is not None:
            with wins.get_lock():
                wins[0] += 1  # how many have it
                wins[1] = max(wins[1], wins[0])
                wins[2] += 1
            with wins.get_lock():
                wins[0] -= 1
            claim.release()


@KINDS
def test_of_many_that_try_at_once_one_has_it(tmp_path, lease):
    context = multiprocessing.get_context("spawn")
    barrier, wins = context.Barrier(3), context.Array("i", 3)
    runners = [
        context.Process(target=race, args=(tmp_path, lease, barrier, wins)) for _ in range(3)
    ]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
        assert runner.exitcode == 0
    assert wins[1] == 1
    assert wins[2] > 1


def test_a_folder_in_which_nothing_can_be_claimed_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for lease in (None, 5.0):
        with pytest.raises(UserError, match="file"):
            claims.take(tmp_path / "file", "k", lease)


def test_a_file_system_without_locks_is_told_of_the_lease(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(locks.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", unsupported)
    with pytest.raises(UserError, match="no locks; give --lease"):
        claims.take(tmp_path, "k", None)
