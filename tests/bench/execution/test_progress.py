"""What a person reads while a sweep runs."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from bench.execution import progress
from bench.measurements import MEASUREMENTS
from bench.store.records import Record
from bench.store.results import AccuracyResult


def key_of(label):
    return f"k{len(label)}"


def record(status="done", score=0.5, label="ce"):
    result = AccuracyResult(
        classes=tuple("abcdefghi"), palette=((0, 0, 0),) * 9, split="val", chosen_epoch=1,
        counts={}, metrics={"mean_iou": score, "classes_averaged": 9},
    )  # fmt: skip
    done = status == "done"
    return Record(
        key=key_of(label), experiment="e", measure="accuracy", status=status,
        reason=None if done else "no [memory]", arm={}, label=label, seed=1, settings={},
        provenance={}, environment={}, started="2026-01-02T03:04:05+00:00", seconds=75.0,
        result=result if done else None,
    )  # fmt: skip


def early(given):
    """Return a record as that of a training that stopped after 7 of 12 epochs."""
    counts = {"epochs": 7}
    result = given.result.model_copy(update={"counts": counts})
    settings = {"train": {"epochs": 12, "patience": 3}}
    return given.model_copy(update={"result": result, "settings": settings})


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "0.2 s"),
        (42.4, "42 s"),
        (60, "1 min 00 s"),
        (200, "3 min 20 s"),
        (18120, "5 h 02 min"),
    ],
)
def test_durations_are_words(seconds, words):
    assert progress.duration(seconds) == words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (record(), "mIoU 0.500 over 9 classes"),
        (record(score=None), "mIoU undefined over 9 classes"),
        (record(score=0.0), "mIoU 0.000 over 9 classes"),
        (record("oom"), "oom (no [memory])"),
        (early(record()), "mIoU 0.500 over 9 classes, stopped after epoch 7"),
    ],
)
def test_outcomes_are_words(given, words):
    assert progress.outcome(given) == words


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def job(label):
    settings = SimpleNamespace(train=SimpleNamespace(epochs=12))
    trial = SimpleNamespace(
        key=key_of(label), seed=1, arm=SimpleNamespace(label=label, settings=settings)
    )
    return SimpleNamespace(trial=trial, measurement=MEASUREMENTS["accuracy"], training=None)


MARKUP = "[/x] [bold]dice :smile: \\["


def sweep(shown):
    with shown.sweep(5, stored=3):
        for label in ("ce", MARKUP):
            shown.begun(job(label))
            row = {"epoch": 1, "train_loss": 0.7, "metrics": {"mean_iou": 0.5}}
            shown.epoch(job(label), row)
            shown.finished(record(label=label))


def test_lines_where_there_is_no_terminal():
    out = console(terminal=False)
    shown = progress.choose(out, quiet=False)
    sweep(shown)
    lines = out.file.getvalue().splitlines()
    assert lines[0] == "3 of 5 trials are stored already"
    assert lines[1].startswith("[4/5] ce, seed 1: mIoU 0.500 over 9 classes in 1 min 15 s, ")
    assert lines[1].endswith(" remaining")
    assert lines[2] == f"[5/5] {MARKUP}, seed 1: mIoU 0.500 over 9 classes in 1 min 15 s"


def test_where_nothing_was_said_for_long_an_epoch_is_a_line(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    out = console(terminal=False)
    shown = progress.choose(out, quiet=False)
    with shown.sweep(1, stored=0):
        shown.begun(job(MARKUP))
        for epoch, now in enumerate((29.0, 31.0, 45.0, 61.0), 1):
            clock.now = now
            metrics = {"mean_iou": 0.5} if epoch == 4 else {}
            shown.epoch(job(MARKUP), {"epoch": epoch, "train_loss": 0.7, "metrics": metrics})
    assert out.file.getvalue().splitlines() == [
        f"{MARKUP}, seed 1: epoch 2 of 12, loss 0.700",
        f"{MARKUP}, seed 1: epoch 4 of 12, loss 0.700, mIoU 0.500",
    ]


def test_bars_on_a_terminal():
    out = console(terminal=True)
    sweep(progress.choose(out, quiet=False))
    text = out.file.getvalue()
    assert "2/2" in text
    assert text.count(f"{MARKUP}, seed 1") > 1  # in the bar, and when it is done
    assert "loss 0.700, mIoU 0.500" in text


def test_nothing_if_quiet():
    out = console(terminal=True)
    sweep(progress.choose(out, quiet=True))
    assert out.file.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_transfer_of_known_and_unknown_length(terminal):
    out = console(terminal)
    with progress.transfer(out) as moved:
        moved(10, 100)
        moved(100, 0)
    assert ("download" in out.file.getvalue()) == terminal
