"""What changes while a run goes on: images, code, the results folder. Nothing wrong is stored."""

import os

import cv2
import numpy as np
import pytest

from bench.__main__ import main
from bench.errors import UserError
from bench.execution import accuracy, as_planned, job
from bench.execution.prepare import prepare
from bench.experiment import code_digest, source_text
from bench.measurements import MEASUREMENTS
from bench.store.folder import Store

EXPERIMENT = """
name: small
data: {name: folder, path: own}
model: {base_channels: 2, depth: 1}
train: {crop_size: 16, batch_size: 2, epochs: 2, learning_rate: 1.0e-2, threads: 1}
evaluate: {panels: 0, extremes: 0}
factors: {train.loss: [ce, dice]}
seeds: 2
baseline: {train.loss: ce}
"""
really = accuracy.measure


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with an experiment and images of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    (tmp_path / "small.yaml").write_text(EXPERIMENT)
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "masks"):
            (tmp_path / "data" / "own" / kind / split).mkdir(parents=True)
        for name in "ab":
            image = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
            cv2.imwrite(f"data/own/images/{split}/{name}.png", image)
            cv2.imwrite(
                f"data/own/masks/{split}/{name}.png", (image[..., 0] > 127).astype(np.uint8)
            )
    (tmp_path / "data" / "own" / "classes.yaml").write_text("names: [dark, bright]")
    return tmp_path


@pytest.fixture
def store(here):
    return Store(here / "results" / "small")


@pytest.fixture
def run(here, capsys):
    """Return a function: options → exit status and the lines of errors."""

    def run(*options):
        capsys.readouterr()
        status = main(["run", "small.yaml", "--quiet", *options])
        return status, capsys.readouterr().err.splitlines()

    return run


def another(path):
    """Turn a mask over, in a file of the same size with the same times."""
    before, state = path.read_bytes(), path.stat()
    other = cv2.imencode(".png", 1 - cv2.imread(str(path), cv2.IMREAD_UNCHANGED))[1].tobytes()
    path.write_bytes(other)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return before


@pytest.fixture
def at_the_second(monkeypatch):
    """Return a function that lets something happen in the second trial: before or after it."""

    def arrange(happen, *, before):
        calls = []

        def measure(settings, seed, context):
            calls.append(seed)
            if before and len(calls) == 2:
                happen()
            found = really(settings, seed, context)
            if not before and len(calls) == 2:
                happen()
            return found

        monkeypatch.setattr(accuracy, "measure", measure)

    return arrange


@pytest.mark.parametrize("before", [True, False], ids=["before reading", "after reading"])
def test_images_that_change_during_a_run_are_stored_under_no_fingerprint(
    here, store, run, at_the_second, monkeypatch, before
):
    mask = here / "data/own/masks/val/a.png"
    whole = []
    at_the_second(lambda: whole.append(another(mask)), before=before)
    status, errors = run()
    assert status == 2
    assert len(errors) == 1
    assert errors[0].startswith("error: stale data: images or labels of folder are not those that")
    (first,) = store.records()
    assert (first.label, first.seed) == ("ce", 0)
    monkeypatch.setattr(accuracy, "measure", really)
    mask.write_bytes(whole[0])  # put back
    assert run() == (0, [])
    assert store.read(first.key) == first
    assert {record.provenance["data"] for record in store.records()} == {first.provenance["data"]}
    assert len(store.keys()) == 4


def test_changed_images_are_measured_anew_by_the_next_run(here, store, run, at_the_second):
    at_the_second(lambda: another(here / "data/own/masks/val/a.png"), before=True)
    assert run()[0] == 2
    (old,) = store.keys()
    status, errors = run()
    assert status == 0
    assert "1 trial stored for other data: measured again" in errors[0]
    now = store.keys()
    assert len(now) == 4
    assert old not in now


def test_images_that_are_gone_are_named(here, store, run, at_the_second):
    at_the_second((here / "data/own/masks/val/a.png").unlink, before=False)
    status, errors = run()
    assert status == 2
    assert len(errors) == 1
    assert "stale data" in errors[0]
    assert "a.png" in errors[0] or "masks" in errors[0]
    assert len(store.keys()) == 1


def test_a_process_with_edited_code_measures_nothing(store, run, monkeypatch):
    path = code_digest.ROOT / "bench/training/losses.py"
    text = source_text.read
    monkeypatch.setattr(
        source_text, "read", lambda one: text(one) + "\nVERSION = 2\n" * (one == path)
    )
    as_planned._imported.cache_clear()
    try:
        status, errors = run()
    finally:
        as_planned._imported.cache_clear()
    assert status == 2
    (error,) = errors
    assert error.startswith(
        "error: the code was edited after the run was started (bench.training.losses); start the "
    )
    assert store.keys() == set()


def test_edited_comments_are_no_other_code(store, run, monkeypatch):
    text = source_text.read
    monkeypatch.setattr(source_text, "read", lambda one: text(one) + "\n# A remark.\n")
    as_planned._imported.cache_clear()
    try:
        assert run() == (0, [])
    finally:
        as_planned._imported.cache_clear()


@pytest.mark.parametrize(("what", "said"), [("code", "the code on"), ("versions", "torch or ano")])
def test_a_trial_planned_elsewhere_with_something_else_is_refused(here, store, what, said):
    prepared = prepare("small.yaml")
    trial = prepared.trials[0]
    other = {**trial.provenance, what: "0" * 64}
    planned = type(trial)(trial.key, trial.arm, trial.seed, other)
    measurement = MEASUREMENTS["accuracy"]
    store.check_writable()
    with pytest.raises(as_planned.Changed, match=said):
        job.perform(job.Job(planned, "small", measurement, store, here / "data"))
    assert store.keys() == set()


def test_a_folder_that_was_renamed_is_not_begun_anew(here, store, run, at_the_second, monkeypatch):
    moved = here / "results" / "kept"
    at_the_second(lambda: store.folder.rename(moved), before=False)
    status, errors = run()
    assert status == 2
    assert len(errors) == 1
    assert "small: is not there any more; was it renamed or removed during the run?" in errors[0]
    assert not (store.folder / "trials").exists()
    assert len(Store(moved).keys()) == 1
    monkeypatch.setattr(accuracy, "measure", really)
    moved.rename(store.folder)
    assert run() == (0, [])
    assert len(store.keys()) == 4


@pytest.mark.parametrize("part", ["trials", "details", "partial", "blobs", "claims"])
def test_what_cannot_be_written_is_found_before_training(store, run, monkeypatch, part):
    monkeypatch.setattr(accuracy, "measure", lambda *_: pytest.fail("trained first"))
    store.folder.mkdir(parents=True)
    (store.folder / part).write_text("in the way")
    status, errors = run()
    assert status == 2
    assert len(errors) == 1
    assert f"{part}: results cannot be written" in errors[0]


def test_a_retry_goes_on_where_the_failed_trial_was(store, run, monkeypatch):
    """Until it is given up: then its state goes."""
    began = []

    def measure(settings, seed, context):
        kept = context.checkpointer.read()
        began.append(0 if kept is None else len(kept))
        context.checkpointer.write(b"x" * len(began))
        raise RuntimeError("lost")

    monkeypatch.setattr(accuracy, "measure", measure)
    one = ("--set", "factors={}", "--set", "baseline={}", "--set", "seeds=1")
    for _ in range(3):
        assert run(*one)[0] == 1
    assert began == [0, 1, 2]
    (record,) = store.records()
    assert (record.status, record.attempts) == ("failed", 3)
    assert list((store.folder / "partial").iterdir()) == []


def test_a_state_that_does_not_fit_is_not_tried_for_ever(store, run, monkeypatch):
    def measure(settings, seed, context):
        if context.checkpointer.read() is not None:
            raise UserError("the saved state does not fit this training")
        context.checkpointer.write(b"x")
        raise RuntimeError("lost")

    monkeypatch.setattr(accuracy, "measure", measure)
    one = ("--set", "factors={}", "--set", "baseline={}", "--set", "seeds=1")
    assert run(*one)[0] == 1
    assert run(*one)[0] == 1
    assert list((store.folder / "partial").iterdir()) == []
    monkeypatch.setattr(accuracy, "measure", really)
    assert run(*one) == (0, [])
