"""A process that performs one trial after the other, as the runner sees it and from inside.

The two ends talk over a pipe: jobs and the request to stop go in, epochs and records come out. A
pipe that closes tells either end that the other is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from bench.errors import UserError
from bench.execution.job import Job, give_up, perform
from bench.execution.processes import start_process
from bench.execution.progress import Progress
from bench.store.records import Record
from bench.training.checkpointing import Interrupted

GRACE = 5.0  # seconds that a process has to end by itself when its work is done
_STOP = "stop"  # what tells a worker to end at the end of its epoch


class Worker:
    """Performs one job after the other, in a process that is started when there is a job."""

    process: BaseProcess
    pipe: Connection

    def __init__(self, device: str | None = None, timeout: float | None = None) -> None:
        self.device = device
        self.timeout = timeout
        self.running = False  # whether there is a process
        self.job: Job | None = None
        self.told = self.interrupted = False  # to stop; in the middle of a job

    @property
    def handles(self) -> tuple[Connection, int]:
        """What to wait on for news."""
        return self.pipe, self.process.sentinel

    def give(self, job: Job) -> None:
        """Let it perform a job."""
        self.job = job if self.device is None else dataclasses.replace(job, device=self.device)
        if not self.running:
            self.pipe, theirs = multiprocessing.Pipe()
            self.process, self.running = start_process(_serve, theirs), True
            theirs.close()  # so that its end is noticed here
        self.started, self.clock = datetime.now(UTC), time.monotonic()
        with contextlib.suppress(OSError):  # dead already, which is noticed later
            self.pipe.send(self.job)

    def stop(self) -> None:
        """Tell it to end at the end of its epoch; once is enough."""
        if not self.told:
            self.told = True
            with contextlib.suppress(OSError):
                self.pipe.send(_STOP)

    def news(self, progress: Progress) -> Iterator[Record]:
        """Pass on what it tells; yield the record that it made, or that of its death."""
        while (job := self.job) is not None:
            alive = self.process.is_alive()  # asked first: its last words come before its end
            seconds = time.monotonic() - self.clock
            try:
                message = self.pipe.recv() if self.pipe.poll() else None
            except (EOFError, OSError):
                message, alive = None, False
            match message:
                case "epoch", row:
                    progress.epoch(job, row)
                    continue
                case "done", record:
                    self.job = None
                case "interrupted", _:
                    record, self.job, self.interrupted = None, None, True
                case "error", error:
                    self.job = None
                    raise error
                case _ if not alive:
                    self.process.join(GRACE)
                    record = self._lost(job, *cause(self.process.exitcode), seconds)
                case _ if self.timeout is not None and seconds > self.timeout:
                    reason = f"took longer than {self.timeout:g} s"
                    record = self._lost(job, "timeout", reason, seconds)
                case _:
                    return
            if record is not None:
                yield record

    def _lost(self, job: Job, status: str, reason: str, seconds: float) -> Record | None:
        self.end()
        self.job = None
        return give_up(job, status, reason, started=self.started, seconds=seconds)

    def end(self) -> None:
        """End the process and those that it started: at once if it is at work."""
        if not self.running:
            return
        self.running = False
        self.pipe.close()  # which tells it to
        if self.job is None:
            self.process.join(GRACE)
        kill_group(self.process)
        self.process.join()


def kill_group(process: BaseProcess) -> None:
    """Kill a process and its loader processes, whether or not it is alive itself."""
    if process.pid is not None and hasattr(os, "killpg"):
        with contextlib.suppress(OSError):  # it never came to lead a group, or all of it has ended
            os.killpg(process.pid, signal.SIGKILL)
    if process.is_alive():
        process.kill()


def _serve(pipe: Connection) -> None:
    """Run in a worker: perform the jobs that come through the pipe, until it is closed."""
    if hasattr(os, "setsid"):
        os.setsid()  # the terminal's Ctrl-C goes to the parent, which ends this group
    orders: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    stop, busy = threading.Event(), threading.Event()
    threading.Thread(target=_listen, args=(pipe, orders, stop, busy), daemon=True).start()
    while (job := orders.get()) is not None:
        answer: tuple[str, Any]
        try:
            answer = "done", perform(job, lambda row: pipe.send(("epoch", row)), stop.is_set)
        except Interrupted:
            answer = "interrupted", None
        except UserError as error:  # which ends the whole run
            answer = "error", error
        busy.clear()
        with contextlib.suppress(OSError):  # the parent is gone; the record is stored
            pipe.send(answer)


def _listen(
    pipe: Connection,
    orders: queue.SimpleQueue[Job | None],
    stop: threading.Event,
    busy: threading.Event,
) -> None:
    """Take orders while the main thread works; without a parent there is nothing to work for."""
    while True:
        try:
            order = pipe.recv()
        except (EOFError, OSError):
            break
        if order == _STOP:
            stop.set()
        else:
            busy.set()
            orders.put(order)
    if busy.is_set():
        if hasattr(os, "killpg"):
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)
    orders.put(None)


def cause(exitcode: int | None) -> tuple[str, str]:
    """Return status and reason of a process that ended without handing over a record."""
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = " (the system does so when memory runs out)" if name == "SIGKILL" else ""
        return "killed", f"the process was ended by {name}{hint}"
    return "failed", f"the process ended with status {exitcode} and left no record"
