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
from bench.store import claims
from bench.store.folder import Store

pytestmark = pytest.mark.skipif(not claims.AVAILABLE, reason="this system has no locks")


def test_a_claim_has_one_owner(tmp_path):
    path, another = tmp_path / "claims" / "k", tmp_path / "claims" / "other"
    claim = claims.take(path)
    assert claim is not None
    assert claims.take(path) is None
    other = claims.take(another)
    assert other is not None
    claims.release(path, claim)
    again = claims.take(path)
    assert again is not None
    claims.release(path, again)
    claims.release(another, other)
    assert list((tmp_path / "claims").iterdir()) == []


HOLD = """
import sys, time
from pathlib import Path
from bench.store import claims
assert claims.take(Path(sys.argv[1])) is not None
print("taken", flush=True)
time.sleep(60)
"""


def holder(path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"taken\n"
    return process


def test_a_dead_owner_gives_its_claim_back_at_once(tmp_path):
    with holder(tmp_path / "k") as process:
        assert claims.take(tmp_path / "k") is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        claim = claims.take(tmp_path / "k")
        assert claim is not None
        claims.release(tmp_path / "k", claim)


def test_a_forked_child_does_not_keep_the_claim_of_its_parent(tmp_path):
    claim = claims.take(tmp_path / "k")
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(theirs, b"x")
        time.sleep(30)
        os._exit(0)
    try:
        os.read(ours, 1)
        os.close(claim)  # as if the parent were dead
        claims._held.discard(claim)
        assert claims.take(tmp_path / "k") is not None
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ours)
        os.close(theirs)


def race(path, barrier, wins):
    barrier.wait()
    for _ in range(200):
        claim = claims.take(path)
        if claim is not None:
            with wins.get_lock():
                wins[0] += 1  # how many have it
                wins[1] = max(wins[1], wins[0])
                wins[2] += 1
            with wins.get_lock():
                wins[0] -= 1
            claims.release(path, claim)


def test_of_many_that_try_at_once_one_has_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, wins = context.Barrier(3), context.Array("i", 3)
    runners = [context.Process(target=race, args=(tmp_path / "k", barrier, wins)) for _ in range(3)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
        assert runner.exitcode == 0
    assert wins[1] == 1
    assert wins[2] > 1


def test_a_folder_in_which_nothing_can_be_claimed_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file"):
        claims.take(tmp_path / "file" / "k")


@pytest.fixture
def no_locks(monkeypatch):
    """Pretend that the file system has no locks."""

    def unsupported(*_):
        raise OSError(claims.errno.ENOLCK, "No locks available")

    monkeypatch.setattr(claims.fcntl, "flock", unsupported)


@pytest.mark.usefixtures("no_locks")
def test_a_file_system_without_locks_is_named_with_what_to_do(tmp_path):
    with (
        pytest.raises(UserError, match=r"no file locks \(flock\).*--executor ray") as error,
        Store(tmp_path).claim("k"),
    ):
        pass
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("no_locks")
def test_where_one_process_hands_out_the_trials_no_locks_are_needed(tmp_path):
    with Store(tmp_path, needs_locks=False).claim("k") as claim:
        assert claim is not None
    assert list((tmp_path / "claims").iterdir()) == []
    stray = tmp_path / ".tmp-1-a"
    stray.touch()
    assert not claims.remove_if_free(stray)
    assert stray.exists()
