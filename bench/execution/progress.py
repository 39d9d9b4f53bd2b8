"""What a person sees of a running sweep: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from bench.measurements import MEASUREMENTS
from bench.store.records import Record

AGAIN = "; it will be measured again"


class Progress:
    """Tells nobody anything; the base of the two that do, and what ``--quiet`` uses."""

    @contextlib.contextmanager
    def sweep(self, total: int, *, stored: int) -> Iterator[None]:
        """Surround a sweep of ``total`` trials of which ``stored`` need not be measured."""
        del total, stored
        yield

    def trial(self, label: str, seed: int, epochs: int, *, replicate: str) -> None:
        """Begin a trial."""

    def epoch(self, label: str, seed: int, row: dict[str, Any]) -> None:
        """Note a finished epoch of a trial."""

    def finished(self, record: Record, *, again: bool = False) -> None:
        """Note that the trial is stored, and whether it will be measured again in this sweep."""


class Lines(Progress):
    """One line a trial, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.total = self.done = self.measured = 0
        self.started = 0.0

    @contextlib.contextmanager
    def sweep(self, total: int, *, stored: int) -> Iterator[None]:
        self.total, self.done, self.started = total, stored, time.monotonic()
        if stored:
            self._say(f"{stored} of {total} trials are stored already")
        yield

    def finished(self, record: Record, *, again: bool = False) -> None:
        self.done += not again
        self.measured += 1
        each = (time.monotonic() - self.started) / self.measured
        left = f", {duration(each * (self.total - self.done))} left"
        self._say(
            f"[{self.done}/{self.total}] {trial_name(record)}: {outcome(record)}"
            f"{AGAIN * again} in {duration(record.seconds)}{left if self.done < self.total else ''}"
        )

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Terminal(Progress):
    """One bar for the sweep with the time left, one for each trial that is running."""

    def __init__(self, console: Console) -> None:
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self.whole: TaskID | None = None
        self.parts: dict[tuple[str, int], TaskID] = {}
        self.over: list[tuple[str, int]] = []  # those that may make room for the next

    @contextlib.contextmanager
    def sweep(self, total: int, *, stored: int) -> Iterator[None]:
        note = f"{stored} stored already" if stored else ""
        with self.bars:
            self.whole = self.bars.add_task("trials", total=total - stored, note=note)
            yield

    def trial(self, label: str, seed: int, epochs: int, *, replicate: str) -> None:
        for earlier in [*self.over, (label, seed)]:
            self._remove(*earlier)
        self.over.clear()
        name = escape(f"{label}, {replicate} {seed}")
        self.parts[label, seed] = self.bars.add_task(name, total=epochs, note="")

    def epoch(self, label: str, seed: int, row: dict[str, Any]) -> None:
        if (label, seed) in self.parts:
            score = row.get("metrics", {}).get("mean_iou")
            note = f"loss {row['train_loss']:.3f}" + (f"  mIoU {score:.3f}" if score else "")
            self.bars.update(self.parts[label, seed], advance=1, note=note)

    def finished(self, record: Record, *, again: bool = False) -> None:
        self.over.append((record.label, record.seed))
        if self.whole is not None and not again:
            self.bars.update(self.whole, advance=1)
        line = f"{trial_name(record)}: {outcome(record)}{AGAIN * again}"
        self.bars.console.print(line, markup=False, highlight=False)

    def _remove(self, label: str, seed: int) -> None:
        part = self.parts.pop((label, seed), None)
        if part is not None:
            self.bars.remove_task(part)


def choose(console: Console, *, quiet: bool) -> Progress:
    """Return what fits: bars on a terminal, lines where there is none, nothing if quiet."""
    if quiet:
        return Progress()
    return Terminal(console) if console.is_terminal else Lines(console)


@contextlib.contextmanager
def transfer(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for a download; yield what is called with the bytes done and in all."""
    columns = (TextColumn("download"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal, transient=True) as bars:
        task = bars.add_task("download", total=None, visible=False)

        def moved(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total or None, visible=True)

        yield moved


def trial_name(record: Record) -> str:
    """Return which trial a record is of: ``dice, seed 2`` or ``unet, repetition 2``."""
    return f"{record.label}, {MEASUREMENTS[record.measure].replicate} {record.seed}"


def outcome(record: Record) -> str:
    """Say in a few words how a trial ended."""
    if record.status != "done":
        return f"{record.status} ({record.reason})"
    if record.throughput is not None:
        share = record.throughput.roofline_share
        limit = "" if share is None else f", {share:.0%} of roofline"
        return f"{record.throughput.images_per_second:,.1f} images/s{limit}"
    score, classes = record.metric("mean_iou"), record.metric("classes_averaged")
    return f"mIoU {'undefined' if score is None else f'{score:.3f}'} over {classes} classes"


def duration(seconds: float) -> str:
    """Write a time as a person would: ``42 s``, ``3 min 20 s``, ``5 h 02 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
