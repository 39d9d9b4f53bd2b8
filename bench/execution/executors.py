"""Where trials are measured: in this process, or in processes of their own.

The runner says which jobs there are; an executor performs them in any order and in any number
at once and hands back each record when it is stored. A job that another runner has claimed is
left out. Asked to stop, an executor ends what it runs at the end of an epoch.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing.connection import wait

import torch

from bench.errors import UserError, nearest
from bench.execution import job as trial_job
from bench.execution.job import Executor, Job, Stop, Watcher, never
from bench.execution.workers import Worker
from bench.measurements import MEASUREMENTS
from bench.store.records import Record
from bench.training.checkpointing import Interrupted

_TICK = 0.5  # seconds until it is looked again whether to stop, or whether time is up


def in_process(jobs: Sequence[Job], watcher: Watcher, stop: Stop = never) -> Iterator[Record]:
    """Perform jobs one after the other in this process."""
    for job in jobs:
        if stop():
            raise Interrupted("stopped between two trials")
        watcher.begun(job)
        record = trial_job.perform(job, partial(watcher.epoch, job), stop)
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
    slots: list[Worker | None] = [None] * max(1, min(count, len(jobs)))
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
                    worker = slots[i] = worker or Worker()
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
        from bench.execution import ray_executor  # an extra that few have installed

        return ray_executor.executor(measure, device, address=address, sharing=jobs or 1)
    if address is not None:
        raise UserError("--address: only --executor ray has one")
    if jobs is None and timeout is None:
        return default(measure)
    devices = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    dealt = devices if device.type == "cuda" and device.index is None else devices[:0]
    timed = MEASUREMENTS[measure].exclusive
    if timed and (jobs or 1) > max(1, len(dealt)):
        raise UserError(
            f"--jobs {jobs}: what is timed needs a device of its own (there is {len(dealt) or 1})"
        )
    return partial(processes, count=jobs or 1, devices=dealt, fresh=timed)


def default(measure: str) -> Executor:
    """Return what performs trials of a measurement unless something else is asked for."""
    return fresh_processes if MEASUREMENTS[measure].fresh_process else in_process
