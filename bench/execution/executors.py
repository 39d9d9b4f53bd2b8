"""Where trials are measured: in this process, or in processes of their own.

The runner says which jobs there are; an executor performs them in any order and number at once,
and returns each record when it is stored. It leaves out jobs that another runner has claimed.
Asked to stop, it ends what it runs at the end of an epoch, and raises ``Interrupted``. If results
cannot be written, because the disk is full, say, it raises ``Unwritable``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.connection import wait

import torch

from bench.errors import UserError, nearest
from bench.execution import mps
from bench.execution.job import Job, Stop, perform
from bench.execution.progress import Progress
from bench.execution.workers import Worker
from bench.machine import limits
from bench.measurements import Measurement
from bench.store.records import Record
from bench.training.checkpointing import Interrupted

Executor = Callable[[Sequence[Job], Progress, Stop], Iterator[Record]]
MOST_WORKERS = 8  # loader processes, unless a user asks for more
_TICK = 0.5  # seconds until it is looked again whether to stop, or whether time is up


def in_process(jobs: Sequence[Job], progress: Progress, stop: Stop) -> Iterator[Record]:
    """Perform jobs one after the other in this process."""
    for job in jobs:
        if stop():
            raise Interrupted("stopped between two trials")
        progress.begun(job)
        record = perform(job, partial(progress.epoch, job), stop)
        if record is not None:
            yield record


def processes(
    jobs: Sequence[Job],
    progress: Progress,
    stop: Stop,
    *,
    devices: Sequence[str | None] = (None,),
    fresh: bool = False,
    timeout: float | None = None,
) -> Iterator[Record]:
    """Perform jobs in worker processes, each on one of ``devices`` (None: the job's own).

    ``stop`` is asked all the time; then workers end at the end of their epochs. ``fresh`` gives
    every job a new process. A trial whose process dies gets a record with the status ``killed`` (by
    a signal) or ``failed``, one that takes more than ``timeout`` seconds ``timeout``. No process
    outlives this one, however it ends.
    """
    waiting = deque(jobs)
    workers = [Worker(device, timeout) for device in devices]
    mistake: UserError | None = None  # what ends the run, once the other workers have stopped
    try:
        while waiting or any(worker.job for worker in workers):
            stopping = mistake is not None or stop()
            for worker in workers:
                if worker.job is None and (fresh or not waiting):
                    worker.end()
                if worker.job is None and waiting and not stopping:
                    progress.begun(waiting[0])
                    worker.give(waiting.popleft())
            busy = [worker for worker in workers if worker.job is not None]
            if stopping and not busy:
                raise mistake or Interrupted("stopped between two trials")
            wait([handle for worker in busy for handle in worker.handles], _TICK)
            for worker in busy:
                if stopping:
                    worker.stop()
                try:
                    yield from worker.news(progress)
                except UserError as error:
                    mistake = mistake or error
        if mistake is not None:
            raise mistake
        if any(worker.interrupted for worker in workers):
            raise Interrupted("stopped in the middle of a trial")
    finally:
        for worker in workers:
            worker.end()


def jobs_that_fit(measurement: Measurement, device: torch.device, *, threads: int) -> int | None:
    """Return how many trials of ``threads`` threads are best measured at once; None: the usual."""
    if measurement.exclusive:
        return None
    jobs = 1
    if device.type == "cpu":
        jobs = limits.workers_that_fit(threads)
    elif str(device) == "cuda":  # without an index: all there are
        jobs = torch.cuda.device_count()
    return jobs if jobs > 1 else None


def usual_workers(device: torch.device, jobs: int) -> int:
    """Return how many loader processes a trial has, unless a user asks for another number."""
    if device.type != "cuda":
        return 0
    cores = limits.usable_cores() // jobs - 1  # one is for the trial itself
    return max(0, min(MOST_WORKERS, cores))


def usual(measurement: Measurement, device: torch.device) -> Executor:
    """Return what performs trials one after the other: in this process, where nothing is against.

    On CUDA every trial has a process of its own. After an illegal access or a failed assertion in a
    kernel a process can use the GPU no more, and what the compiler and the allocator keep of one
    trial would be there in the next.
    """
    return partial(processes, fresh=True) if _needs_fresh(measurement, device) else in_process


def _needs_fresh(measurement: Measurement, device: torch.device) -> bool:
    return measurement.fresh_process or device.type == "cuda"


def choose(
    name: str,
    measurement: Measurement,
    device: torch.device,
    *,
    asked: str = "auto",
    jobs: int | None,
    timeout: float | None,
    address: str | None,
    mps_mode: str = "auto",
) -> Executor:
    """Return what performs the trials of an experiment: ``name`` is ``local`` or ``ray``.

    ``device`` is what a user who ``asked`` for one gets here; the nodes of a cluster may differ.
    ``jobs`` worker processes: None for what the kind of measurement needs, which may be none. The
    device ``cuda`` without a number deals out all GPUs. Where several share one, ``mps_mode``
    (one of ``mps.MODES``) says how. UserError if these do not go together.
    """
    if mps_mode not in mps.MODES:
        raise UserError(f"--mps: {mps_mode!r} is none of {', '.join(mps.MODES)}")
    if name not in ("local", "ray"):
        raise UserError(f"--executor: unknown executor {name!r}{nearest(name, ('local', 'ray'))}")
    if name == "ray":
        from bench.execution import ray_executor  # an extra that few have installed

        return ray_executor.executor(measurement, asked, address=address, sharing=jobs or 1)
    if address is not None:
        raise UserError("--address: only --executor ray has one")
    if jobs is None and timeout is None:
        return usual(measurement, device)
    fresh, count = _needs_fresh(measurement, device), jobs or 1
    dealt: list[str | None] = [None]
    if str(device) == "cuda":  # without an index
        dealt = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if measurement.exclusive and count > len(dealt):
        needs = "what is timed needs a device of its own"
        raise UserError(f"--jobs {jobs}: {needs} ({len(dealt)} here)")
    devices = [dealt[i % len(dealt)] for i in range(count)]
    several = partial(processes, devices=devices, fresh=fresh, timeout=timeout)
    if device.type == "cuda" and count > len(dealt) and mps_mode != "off":
        return partial(_sharing_gpus, several, mps_mode)
    return several


def _sharing_gpus(
    executor: Executor, mode: str, jobs: Sequence[Job], progress: Progress, stop: Stop
) -> Iterator[Record]:
    """Perform jobs in processes that share GPUs by MPS, where that is possible."""
    if jobs:
        with mps.shared_gpus(mode, progress.say):
            yield from executor(jobs, progress, stop)
