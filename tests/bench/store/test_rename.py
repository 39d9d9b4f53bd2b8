"""Another name for an experiment: nothing measured is lost, whoever uses it and whenever it ends."""

import hashlib
import os
import subprocess
import sys

import pytest

from bench.errors import UserError
from bench.experiment.code_digest import ROOT
from bench.store import claims, files
from bench.store.folder import RECONCILE, RUN, Store
from bench.store.plans import Plan
from bench.store.rename import rename

PLAN = Plan(name="old", measure="accuracy", metric="mean_iou", trials=())


@pytest.fixture
def store(tmp_path, make_record):
    store = Store(tmp_path / "results" / "old")
    store.check_writable()
    store.write_plan(PLAN)
    store.commit(make_record(), {"history": []})
    store.put(b"picture", ".png")
    return store


def contents(folder):
    """Return what is in a folder, but for the plan and claims."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "plan.json" and path.parent.name != "claims"
    }


def test_everything_is_under_the_new_name(store):
    before = contents(store.folder)
    new = rename(store, "new")
    assert contents(new.folder) == before
    assert new.read_plan() == PLAN.model_copy(update={"name": "new"})
    assert [path.name for path in store.folder.parent.iterdir()] == ["new"]
    assert not list((new.folder / "claims").iterdir())
    assert rename(new, "old").read_plan() == PLAN


@pytest.mark.parametrize("taken", ["folder", "file", "link"])
def test_a_name_that_is_taken_is_refused(store, taken):
    new = store.folder.with_name("new")
    {"folder": new.mkdir, "file": new.touch, "link": lambda: new.symlink_to("gone")}[taken]()
    with pytest.raises(UserError, match="new: exists already; take another name"):
        rename(store, "new")
    assert store.read_plan() == PLAN


@pytest.mark.parametrize("name", ["../new", "a b", "", ".hidden", "index.html", "a/b"])
def test_what_is_no_name_is_refused(store, name):
    with pytest.raises(UserError, match=r"make a name|take another name"):
        rename(store, name)
    assert store.read_plan() == PLAN


@pytest.mark.parametrize("claim", [RUN, RECONCILE])
def test_while_somebody_uses_it_it_is_not_renamed(store, claim):
    hold = (
        "import sys; from pathlib import Path; from bench.store import claims\n"
        "claims.take(Path(sys.argv[1]), shared=sys.argv[2] == 'run'); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", hold, str(store.claim_file(claim)), claim]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=rf"old: in use \(process {other.pid} on "):
            rename(store, "new")
        other.stdin.close()
    assert store.read_plan() == PLAN
    assert rename(store, "new").read_plan().name == "new"


@pytest.mark.parametrize("point", ["plan renamed", "folder renamed"])
def test_a_process_that_dies_in_between_loses_nothing(store, monkeypatch, point):
    before = contents(store.folder)
    child = os.fork()
    if not child:
        monkeypatch.setattr(files, "at", lambda now: os._exit(7) if now == point else None)
        rename(store, "new")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    (left,) = store.folder.parent.iterdir()
    assert contents(left) == before
    assert Store(left).read_plan().name == "new"
    again = rename(Store(left), "newer")
    assert contents(again.folder) == before
    assert again.read_plan().name == "newer"


def test_a_folder_that_cannot_be_renamed_is_named_and_free_again(store, monkeypatch):
    def refuse(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.rename", refuse)
    with pytest.raises(UserError, match=r"old: cannot be renamed \(Permission denied\)"):
        rename(store, "new")
    handle = claims.take(store.claim_file(RUN))
    assert handle is not None
    claims.release(store.claim_file(RUN), handle)
