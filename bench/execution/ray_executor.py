"""Trials as tasks of a Ray cluster: the same jobs, performed on whichever node has room.

Ray schedules, restarts what a lost node was doing, and knows what devices there are. A task
claims its trial and stores the record itself, in a folder that all nodes see; nothing is lost
with the process that started it, and a task that ran twice stores once.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import torch

from bench.errors import UserError
from bench.execution import job as trial_job
from bench.execution.job import Executor, Job, Stop, Watcher, never
from bench.experiment import code_digest, environment
from bench.measurements import MEASUREMENTS
from bench.store.files import Unwritable
from bench.store.records import Record
from bench.training.checkpointing import Interrupted

RETRIES = 3  # of a task whose worker or node is lost; Ray counts them
_TICK = 1.0  # seconds until it is looked again whether to stop


def executor(measure: str, device: torch.device, *, address: str | None, sharing: int) -> Executor:
    """Connect to a cluster and return what performs jobs there.

    Args:
        measure: what is measured; what is timed has a GPU of its own.
        device: ``cpu``, or what else the nodes are to compute with.
        address: of the cluster; None for the one that RAY_ADDRESS names, or a new one here.
        sharing: how many trials share a GPU.

    Raises:
        UserError: if Ray is not installed or the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--executor ray: Ray is missing; pip install 'unet-bench[ray]'") from None
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level="ERROR",
            ignore_reinit_error=True,
        )
    except Exception as error:  # Ray has an exception for every way not to be there
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--address: no cluster at {address} ({reason})") from error
    gpus = 0.0
    if device.type == "cuda" or ray.cluster_resources().get("GPU", 0) > 0:
        gpus = 1.0 if MEASUREMENTS[measure].exclusive else 1 / sharing
    return partial(_perform, ray, gpus=gpus, fresh=MEASUREMENTS[measure].fresh_process)


def _perform(
    ray: Any,
    jobs: Sequence[Job],
    watcher: Watcher,
    stop: Stop = never,
    *,
    gpus: float,
    fresh: bool,
) -> Iterator[Record]:
    """Hand all jobs to the cluster and yield their records as they are stored."""
    del watcher  # which of them are running is known to the cluster alone
    started, clock = datetime.now(UTC), time.monotonic()
    tasks: dict[Any, Job] = {}
    for job in jobs:
        job = dataclasses.replace(
            job,
            store=job.store.resolve(),  # a node works in a folder of its own
            root=job.root.resolve(),
            device="cuda" if gpus else "cpu",
        )
        cpus = job.trial.arm.settings.train.threads
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": RETRIES}
        task = ray.remote(**options, max_calls=1 if fresh else 0)(_on_a_node)
        tasks[task.remote(job)] = job
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
                    seconds, reason = time.monotonic() - clock, trial_job.one_line(error)
                    there = dataclasses.replace(job, device="cpu")  # here may be no other
                    record = trial_job.give_up(
                        there, "killed", reason, started=started, seconds=seconds
                    )
                if record is not None:
                    if not job.open_store().has(record.key):
                        raise UserError(
                            f"{job.store}: the nodes of the cluster do not share this folder"
                        )
                    yield record
            if tasks and stop():
                raise Interrupted("stopped; what the nodes were doing is given up")
    finally:
        for reference in tasks:
            ray.cancel(reference, force=True)


def _on_a_node(job: Job) -> Record | None:
    """Run in a task: perform a job, if this node has the code that it was planned with."""
    data = job.trial.arm.settings.data.name
    code = code_digest.of_trial(job.measure, data)
    if code != job.trial.provenance["code"]:
        raise UserError("a node of the cluster has other code than this machine")
    if environment.versions() != job.trial.provenance["versions"]:
        raise UserError("a node of the cluster has other versions of torch or its like")
    return trial_job.perform(job)


def _cause(error: Any) -> Exception:
    """Return what a task raised, if it is a user's to mend."""
    cause = error.cause if isinstance(error.cause, Exception) else error
    if isinstance(cause, UserError) and not isinstance(cause, Unwritable):
        return UserError(str(cause))
    return cause
