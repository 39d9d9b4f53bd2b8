"""A process that performs one trial after the other, as the runner sees it and from inside.

The two ends talk over a pipe: jobs and the wish to stop go in, epochs and records come out. A pipe
that closes tells either end that the other is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

from bench.execution import job as trial_job
from bench.execution.job import Job, Watcher
from bench.store.files import Unwritable
from bench.store.records import Record
from bench.training.checkpointing import Interrupted

GRACE = 5.0  # seconds that a process has to end by itself when its work is done
_STOP = "stop"  # what a worker is told to end at the end of its epoch


class Worker:
    """A process that performs one job after the other, seen from the runner."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit threads and memory
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,))
        with _no_interrupt():
            self.process.start()
        theirs.close()  # so that its end is noticed here
        self.handles = (self.pipe, self.process.sentinel)
        self.job: Job | None = None
        self.gone = False
        self.told = False
        self.interrupted = False

    def give(self, job: Job) -> None:
        """Let it perform a job."""
        self.job = job
        self.started, self.clock = datetime.now(UTC), time.monotonic()
        with contextlib.suppress(OSError):  # dead already, which is noticed later
            self.pipe.send(job)

    def stop(self) -> None:
        """Tell it to end at the end of its epoch; once is enough."""
        if not self.told:
            self.told = True
            with contextlib.suppress(OSError):
                self.pipe.send(_STOP)

    def news(self, watcher: Watcher) -> Iterator[Record]:
        """Pass on what it tells; yield the record that it made, or that of its death."""
        job = self.job
        while job is not None and self.job is not None:
            alive = self.process.is_alive()  # asked first: its last words come before its end
            try:
                message = self.pipe.recv() if self.pipe.poll() else None
            except (EOFError, OSError):
                message, alive = None, False
            if isinstance(message, dict):
                watcher.epoch(job, message)
            elif isinstance(message, tuple):
                self.job = None
                (answer,) = message
                if isinstance(answer, Interrupted):
                    self.interrupted = True
                elif isinstance(answer, Exception):
                    raise answer
                elif answer is not None:
                    yield answer
            elif not alive:
                yield from self._lost(job, *cause(self._exitcode()))
            elif job.timeout is not None and time.monotonic() - self.clock > job.timeout:
                yield from self._lost(job, "timeout", f"took longer than {job.timeout:g} s")
            else:
                return

    def end(self) -> None:
        """End the process and those that it started: at once if it is at work."""
        self.pipe.close()  # which tells it to
        if self.job is None:
            self.process.join(GRACE)
        _kill_group(self.process)
        self.process.join()

    def _lost(self, job: Job, status: str, reason: str) -> Iterator[Record]:
        self.gone = True
        self.end()
        self.job = None
        seconds = time.monotonic() - self.clock
        record = trial_job.give_up(job, status, reason, started=self.started, seconds=seconds)
        if record is not None:
            yield record

    def _exitcode(self) -> int | None:
        self.process.join(GRACE)
        return self.process.exitcode


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Start what is started here deaf to Ctrl-C, which is for this process to act upon."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say so
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _kill_group(process: Any) -> None:
    """Kill a process and its loader processes, whether or not it is alive itself."""
    number = getattr(signal, "SIGKILL", signal.SIGTERM)
    if process.pid is None:
        return
    with contextlib.suppress(OSError):  # it never came to lead a group, or none is left of it
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
    if process.is_alive():
        process.kill()


def _serve(pipe: Connection) -> None:
    """Run in a worker: perform the jobs that come through the pipe, until it is closed."""
    if hasattr(os, "setsid"):
        os.setsid()  # the terminal's Ctrl-C goes to the parent, which ends this group
    orders: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    stop = threading.Event()
    idle = threading.Event()
    idle.set()
    threading.Thread(target=_listen, args=(pipe, orders, stop, idle), daemon=True).start()
    while (job := orders.get()) is not None:
        answer: Record | Exception | None
        try:
            answer = trial_job.perform(job, pipe.send, stop.is_set)
        except (Interrupted, Unwritable) as error:
            answer = error
        idle.set()
        with contextlib.suppress(OSError):  # the parent is gone; the record is stored
            pipe.send((answer,))


def _listen(
    pipe: Connection,
    orders: queue.SimpleQueue[Job | None],
    stop: threading.Event,
    idle: threading.Event,
) -> None:
    """Take orders while the main thread works; without a parent there is nothing to work for."""
    while True:
        try:
            order = pipe.recv()
        except (EOFError, OSError):
            if idle.is_set():
                orders.put(None)
                return
            if hasattr(os, "killpg"):
                os.killpg(os.getpgrp(), signal.SIGKILL)
            os._exit(1)
        if order == _STOP:
            stop.set()
        else:
            idle.clear()
            orders.put(order)


def cause(exitcode: int | None) -> tuple[str, str]:
    """Return status and reason of a process that ended without handing over a record."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (the system does so when memory runs out)" if name == "SIGKILL" else ""
        return "killed", f"the process was ended by {name}{hint}"
    return "failed", f"the process ended with status {exitcode} and left no record"
