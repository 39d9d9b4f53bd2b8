"""Trials as tasks of a Ray cluster: the same jobs, performed on whichever node is free.

Ray schedules, restarts what a lost node was doing, and tells what devices there are. A task
claims its trial and stores the record itself, in a folder that all nodes see; nothing is lost
with the process that started it, and a task that ran twice stores once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bench.errors import UserError
from bench.execution.executors import Executor
from bench.execution.job import Job, Stop, give_up, one_line, perform
from bench.execution.progress import Progress
from bench.measurements import Measurement
from bench.store.files import Unwritable
from bench.store.folder import Store
from bench.store.records import Record
from bench.training.checkpointing import Interrupted

RETRIES = 3  # of a task whose worker or node is lost; Ray counts them
_TICK = 1.0  # seconds until it is looked again whether to stop


def executor(
    measurement: Measurement, device: str, *, address: str | None, sharing: int
) -> Executor:
    """Connect to a cluster and return what performs jobs there.

    ``device`` is as a user named it: ``auto`` takes GPUs where the cluster has any, ``cuda`` waits
    for one, ``cpu`` takes none. What is timed has a GPU of its own; of other trials, ``sharing``
    share one. Without an address the cluster is the one that RAY_ADDRESS names, or a new one.

    Raises:
        UserError: if Ray is not installed or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray: Ray is missing; pip install 'unet-bench[ray]'") from None
    try:
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        ray.init(address=address, ignore_reinit_error=True, **quiet)
    except Exception as error:  # Ray has an exception for every way not to be there
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--address: no cluster at {address} ({reason})") from error
    gpus = 0.0
    there = ray.cluster_resources().get("GPU", 0) > 0
    if device.startswith("cuda") or (device == "auto" and there):
        gpus = 1.0 if measurement.exclusive else 1 / sharing
    # On a GPU every trial has a process of its own, as `executors.usual` says.
    return partial(_perform, ray, gpus=gpus, fresh=measurement.fresh_process or gpus > 0)


def _perform(
    ray: Any, jobs: Sequence[Job], progress: Progress, stop: Stop, *, gpus: float, fresh: bool
) -> Iterator[Record]:
    """Hand all jobs to the cluster and yield their records as they are stored."""
    del progress  # only the cluster can tell which of them are running
    started, clock = datetime.now(UTC), time.monotonic()
    tasks: dict[Any, Job] = {}
    for job in jobs:
        options = {"num_gpus": gpus, "max_retries": RETRIES, "max_calls": 1 if fresh else 0}
        cpus = job.trial.arm.settings.train.threads
        task = ray.remote(num_cpus=cpus, **options)(_on_a_node)
        given = _elsewhere(job, "cuda" if gpus else "cpu")
        tasks[task.remote(given)] = given
    try:
        while tasks:
            done, _ = ray.wait(list(tasks), timeout=_TICK)
            for reference in done:
                job = tasks.pop(reference)
                try:
                    record = ray.get(reference)
                except ray.exceptions.RayTaskError as error:  # raised by our own code
                    raise _cause(error) from error
                except ray.exceptions.RayError as error:  # the process or its node is gone
                    seconds, reason = time.monotonic() - clock, one_line(error)
                    job = replace(job, device="cpu")  # this machine may have no other
                    record = give_up(job, "killed", reason, started=started, seconds=seconds)
                if record is not None:
                    if not job.store.has(job.trial.key):
                        where = f"{job.store.folder}: the nodes of the cluster"
                        raise UserError(f"{where} do not share this folder")
                    yield record
            if tasks and stop():
                raise Interrupted("stopped; the nodes give up what they were doing")
    finally:
        for reference in tasks:
            ray.cancel(reference, force=True)


def _elsewhere(job: Job, device: str) -> Job:
    """Return a job for a node, which works in a folder of its own: paths have to be absolute."""
    store = Store(job.store.folder.resolve(), needs_locks=job.store.needs_locks)
    return replace(job, store=store, root=job.root.resolve(), device=device)


def _on_a_node(job: Job) -> Record | None:
    """Run in a task: perform a job."""
    return perform(job)


def _cause(error: Any) -> Exception:
    """Return what a task raised, if it is a user's to mend."""
    cause = error.cause if isinstance(error.cause, Exception) else error
    if isinstance(cause, UserError) and not isinstance(cause, Unwritable):
        return UserError(str(cause))
    return cause
