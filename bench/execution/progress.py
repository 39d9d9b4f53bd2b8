"""What a person sees of a run: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from rich import progress as rich
from rich.console import Console

from bench.measurements import MEASUREMENTS
from bench.store.records import Record

if TYPE_CHECKING:
    from bench.execution.job import Job

AGAIN = "; it will be measured again"
SILENCE = 30.0  # seconds without a line, after which the end of an epoch is one


class Progress:
    """One line a trial, and of long ones a line an epoch; nothing on a quiet console."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.said = time.monotonic()

    @contextlib.contextmanager
    def sweep(self, total: int, *, stored: int, stage: str = "") -> Iterator[None]:
        """Surround a run of ``total`` trials of which ``stored`` need not be measured.

        Where a run has several stages, ``stage`` says which it is.
        """
        if stage:
            self.say(f"{stage}: {total} trials")
        self.total, self.done = total, stored
        self.measured, self.started = 0, time.monotonic()
        if stored:
            self.say(f"{stored} of {total} trials are stored already")
        yield

    def begun(self, job: Job) -> None:
        """Note that a trial is being measured."""

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        """Note a finished epoch of a trial."""
        if time.monotonic() - self.said >= SILENCE:
            epochs = job.trial.arm.settings.train.epochs
            self.say(f"{job_name(job)}: epoch {row['epoch']} of {epochs}, {state(row)}")

    def finished(self, record: Record, *, again: bool = False) -> None:
        """Note that a trial is stored, and whether it will be measured again in this run."""
        self.done += not again
        self.measured += 1
        each = (time.monotonic() - self.started) / self.measured
        remaining = self.total - self.done
        rest = f", {duration(each * remaining)} remaining" if remaining else ""
        line = f"[{self.done}/{self.total}] {trial_name(record)}: {outcome(record)}"
        self.say(f"{line}{AGAIN * again} in {duration(record.seconds)}{rest}")

    def say(self, line: str) -> None:
        """Print a line."""
        self.said = time.monotonic()
        self.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


class Bars(Progress):
    """One bar for the run with the time remaining, one for each trial that is being measured."""

    def __init__(self, console: Console) -> None:
        texts = "{task.description}", "{task.fields[note]}"
        name, note = (rich.TextColumn(text, markup=False) for text in texts)
        left = (rich.MofNCompleteColumn(), rich.TimeRemainingColumn())
        self.bars = rich.Progress(name, rich.BarColumn(), *left, note, console=console)
        self.trials: dict[str, rich.TaskID] = {}  # by key
        self.over: list[str] = []  # whose bars go when the next trial begins

    @contextlib.contextmanager
    def sweep(self, total: int, *, stored: int, stage: str = "") -> Iterator[None]:
        note = f"{stored} stored already" if stored else ""
        with self.bars:
            self.whole = self.bars.add_task(stage or "trials", total=total - stored, note=note)
            yield

    def begun(self, job: Job) -> None:
        trial = job.trial
        for key in {*self.over, trial.key} & set(self.trials):
            self.bars.remove_task(self.trials.pop(key))
        self.over.clear()
        trains = job.measurement.trains and job.training is None
        epochs = trial.arm.settings.train.epochs if trains else 1
        self.trials[trial.key] = self.bars.add_task(job_name(job), total=epochs, note="")

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        self.bars.update(self.trials[job.trial.key], advance=1, note=state(row))

    def finished(self, record: Record, *, again: bool = False) -> None:
        self.over.append(record.key)
        if record.stopped_after and record.key in self.trials:
            self.bars.update(self.trials[record.key], total=record.stopped_after)
        self.bars.update(self.whole, advance=not again)
        line = f"{trial_name(record)}: {outcome(record)}{AGAIN * again}"
        self.bars.console.print(line, markup=False, emoji=False, highlight=False)


def choose(console: Console, *, quiet: bool) -> Progress:
    """Return what fits: bars on a terminal, lines where there is none, nothing if quiet."""
    if quiet:
        return Progress(Console(quiet=True))
    return Bars(console) if console.is_terminal else Progress(console)


@contextlib.contextmanager
def transfer(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show a bar for a download; yield what is called with the bytes done and in all."""
    columns = ("download", rich.BarColumn(), rich.DownloadColumn(), rich.TimeRemainingColumn())
    hidden = not console.is_terminal
    with rich.Progress(*columns, console=console, disable=hidden, transient=True) as shown:
        task = shown.add_task("download", total=None, visible=False)
        yield lambda done, total: shown.update(
            task, completed=done, total=total or None, visible=True
        )


def job_name(job: Job) -> str:
    """Return which trial is measured, as `trial_name` does of its record."""
    return f"{job.trial.arm.label}, {job.measurement.replicate} {job.trial.seed}"


def state(row: dict[str, Any]) -> str:
    """Return the training loss of an epoch, and its score if it has one."""
    score = row.get("metrics", {}).get("mean_iou")
    return f"loss {row['train_loss']:.3f}" + (f", mIoU {score:.3f}" if score else "")


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
    early = f", stopped after epoch {record.stopped_after}" if record.stopped_after else ""
    return f"mIoU {'undefined' if score is None else f'{score:.3f}'} over {classes} classes{early}"


def duration(seconds: float) -> str:
    """Write a time as a person would: ``42 s``, ``3 min 20 s``, ``5 h 02 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
