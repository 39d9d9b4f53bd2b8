"""Where trials are measured: in this process, or in processes of their own.

The runner says which jobs there are; an executor performs them in any order and in any number
at once and hands back each record when it is stored. A job that another runner has claimed is
left out. Asked to stop, an executor ends what it runs at the end of an epoch.
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
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from bench import measuring
from bench.errors import UserError, nearest
from bench.measuring import Executor, Job, Stop, Watcher, never
from bench.records import Record, Unwritable
from bench.resume import Interrupted

GRACE = 5.0  # seconds that a process has to end by itself when its work is done
_TICK = 0.5  # seconds until it is looked again whether to stop, or whether time is up
_STOP = "stop"  # what a worker is told to end at the end of its epoch


def here(jobs: Sequence[Job], watcher: Watcher, stop: Stop = never) -> Iterator[Record]:
    """Perform jobs one after the other in this process."""
    for job in jobs:
        if stop():
            raise Interrupted("stopped between two trials")
        watcher.begun(job)
        record = measuring.perform(job, partial(watcher.epoch, job), stop)
        if record is not None:
            yield record


def fresh_processes(jobs: Sequence[Job], watcher: Watcher, stop: Stop = never) -> Iterator[Record]:
    """Perform jobs one after the other, each in a process that did nothing before."""
    yield from processes(jobs, watcher, stop, fresh=True)


def processes(
    jobs: Sequence[Job],
    watcher: Watcher,
    stop: Stop = never,
    *,
    count: int = 1,
    devices: Sequence[str] = (),
    fresh: bool = False,
) -> Iterator[Record]:
    """Perform jobs in worker processes.

    A trial whose process dies gets a record with the status ``killed`` (by a signal) or
    ``failed``, one that takes longer than its job allows ``timeout``. No process outlives this
    one, however it ends.

    Args:
        jobs: what to do.
        watcher: is told of it.
        stop: asked all the time; then workers end at the end of their epochs.
        count: of workers.
        devices: dealt out to the workers in turn; empty to leave the jobs' own.
        fresh: give every job a new process.

    Raises:
        Interrupted: if it was asked to stop and every worker has ended.
        Unwritable: if there is no room for results.
    """
    waiting = deque(jobs)
    interrupted = False
    slots: list[_Worker | None] = [None] * max(1, min(count, len(jobs)))
    try:
        while waiting or any(worker is not None and worker.job for worker in slots):
            stopping = stop()
            for i, worker in enumerate(slots):
                if worker is not None and worker.job is None and (fresh or not waiting):
                    worker.end()
                    worker = slots[i] = None
                if waiting and not stopping and (worker is None or worker.job is None):
                    job = waiting.popleft()
                    if devices:
                        job = dataclasses.replace(job, device=devices[i % len(devices)])
                    worker = slots[i] = worker or _Worker()
                    watcher.begun(job)
                    worker.give(job)
            busy = [worker for worker in slots if worker is not None and worker.job]
            if stopping and not busy:
                raise Interrupted("stopped between two trials")
            wait([handle for worker in busy for handle in worker.handles], _TICK)
            for worker in busy:
                if stopping:
                    worker.stop()
                yield from worker.news(watcher)
                interrupted |= worker.interrupted
            slots = [None if worker is None or worker.gone else worker for worker in slots]
        if interrupted:
            raise Interrupted("stopped in the middle of a trial")
    finally:
        for worker in slots:
            if worker is not None:
                worker.end()


class _Worker:
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
        record = measuring.give_up(job, status, reason, started=self.started, seconds=seconds)
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
            answer = measuring.perform(job, pipe.send, stop.is_set)
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


def choose(
    name: str,
    measure: str,
    *,
    jobs: int | None,
    timeout: float | None,
    device: torch.device,
    address: str | None,
) -> Executor:
    """Return what performs the trials of an experiment.

    Args:
        name: ``local`` or ``ray``.
        measure: what is measured.
        jobs: worker processes; None for what fits the kind of measurement.
        timeout: seconds that a trial may take, if that is limited.
        device: ``cuda`` without a number deals out all GPUs.
        address: of the cluster.

    Raises:
        UserError: if these do not go together.
    """
    if name not in ("local", "ray"):
        raise UserError(f"--executor: unknown executor {name!r}{nearest(name, ('local', 'ray'))}")
    if name == "ray":
        from bench import cluster  # an extra that few have installed

        return cluster.executor(measure, device, address=address, sharing=jobs or 1)
    if address is not None:
        raise UserError("--address: only --executor ray has one")
    if jobs is None and timeout is None:
        return EXECUTORS[measure]
    devices = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    dealt = devices if device.type == "cuda" and device.index is None else devices[:0]
    timed = measure == "throughput"
    if timed and (jobs or 1) > max(1, len(dealt)):
        raise UserError(
            f"--jobs {jobs}: what is timed needs a device of its own (there is {len(dealt) or 1})"
        )
    return partial(processes, count=jobs or 1, devices=dealt, fresh=timed)


# What is measured → where: a time is taken in a process that did nothing else before.
EXECUTORS: dict[str, Executor] = {"accuracy": here, "throughput": fresh_processes}
