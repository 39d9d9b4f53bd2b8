"""What a run goes by: the trials of an experiment, and where they are measured and stored."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.errors import UserError
from bench.execution import executors
from bench.execution.budget import Budget
from bench.execution.executors import Executor
from bench.experiment import config, layers, stages
from bench.experiment.config import Experiment
from bench.experiment.reconcile import Stale
from bench.experiment.stage import Stage
from bench.experiment.trial import Trial
from bench.machine import device_identity, environment
from bench.measurements import MEASUREMENTS
from bench.store.folder import Store


@dataclass(frozen=True)
class Prepared:
    """An experiment that can be run: what can be is planned, and nothing is written yet."""

    command: str  # that runs it, for the report
    experiment: Experiment
    stage: Stage
    store: Store
    root: Path
    device: torch.device
    workers: int
    executor: Executor
    jobs: int = 1  # how many trials are measured at once
    budget: Budget | None = None  # of time
    timed_on: str | None = None  # the device, where results of two devices are never compared
    accept_busy: bool = False  # whether a machine that does other work too is taken as it is
    note: str | None = None  # what a user should know of the device that was chosen

    @property
    def trials(self) -> list[Trial]:
        """The trials that are planned now; tuning, or a look, may plan more later."""
        return self.stage.trials

    def later(self, accepted: Mapping[str, Stale]) -> Prepared | None:
        """Return the next stage, in which more is planned or decided; None where nothing is."""
        if self.experiment.tune is None and not self.experiment.looks:
            return None
        following = stages.stage(
            self.experiment, self.root, self.store, accepted, device=self.timed_on
        )
        now = self.stage
        if (following.tuning, following.said) == (now.tuning, now.said):
            return None
        return dataclasses.replace(self, stage=following)


def prepare(
    experiment: Experiment | Mapping[str, Any] | str | Path,
    *,
    overrides: Sequence[str] = (),
    results: str | Path = "results",
    data: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    jobs: int | None = None,
    timeout: float | None = None,
    executor: str = "local",
    address: str | None = None,
    mps: str = "auto",
    accept_busy: bool = False,
    budget: Budget | None = None,
) -> Prepared:
    """Read an experiment, plan its trials, and choose where they are measured.

    The arguments are those of ``bench.run``, and four more: loader ``workers`` (None for as many
    as there are cores for, up to 8, on CUDA, else 0), ``timeout`` in seconds that a trial may take,
    the ``address`` of a Ray cluster, and how trials share a GPU (``mps``: auto, on or off). The
    ``budget`` has begun. UserError if any is wrong.
    """
    command, experiment = _read(experiment, overrides)
    found = environment.find_device(device)
    measurement = MEASUREMENTS[experiment.measure]
    if accept_busy and not measurement.exclusive:
        raise UserError(
            f"--accept-busy: {experiment.name} measures {experiment.measure}, which a busy machine "
            "does not change; leave it out"
        )
    root = Path(data or os.environ.get("BENCH_DATA") or "data")
    # Ray's scheduler gives no trial to two nodes, and needs no locks.
    store = Store(Path(results) / experiment.name, needs_locks=executor != "ray")
    timed_on = device_identity.of(found) if measurement.by_device else None
    stage = stages.stage(experiment, root, store, device=timed_on)
    if jobs is None and executor != "ray":
        threads = max(trial.arm.settings.train.threads for trial in stage.trials)
        jobs = executors.jobs_that_fit(measurement, found, threads=threads)
    if workers is None:
        workers = executors.usual_workers(found, jobs or 1)
    perform = executors.choose(
        executor,
        measurement,
        found,
        asked=device,
        jobs=jobs,
        timeout=timeout,
        address=address,
        mps_mode=mps,
    )
    note = environment.unused_gpu() if device == "auto" else None
    return Prepared(
        command=command,
        experiment=experiment,
        stage=stage,
        store=store,
        root=root,
        device=found,
        workers=workers,
        executor=perform,
        jobs=jobs or 1,
        budget=budget,
        timed_on=timed_on,
        accept_busy=accept_busy,
        note=note,
    )


def _read(
    experiment: Experiment | Mapping[str, Any] | str | Path, overrides: Sequence[str]
) -> tuple[str, Experiment]:
    """Return the command or the call that runs an experiment, and the experiment."""
    if isinstance(experiment, Experiment):
        if overrides:
            raise UserError("overrides: change the values that the Experiment is made of instead")
        return f"bench.run({experiment.name})", experiment
    if isinstance(experiment, Mapping):
        values = layers.plain(experiment, "experiment")
        further = f", overrides={list(overrides)!r}" if overrides else ""
        return f"bench.run({values!r}{further})", config.from_mapping(values, overrides)
    settings = [word for override in overrides for word in ("--set", override)]
    command = shlex.join(["python", "-m", "bench", "run", str(experiment), *settings])
    return command, config.load(Path(experiment), overrides)
