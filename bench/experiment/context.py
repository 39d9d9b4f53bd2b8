"""What a measurement is given beside its settings, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.store.results import Result
from bench.store.trainings import StoredTraining
from bench.training.checkpointing import Checkpointer

if TYPE_CHECKING:
    import torch

EpochRow = dict[str, Any]


@dataclass(frozen=True)
class RunContext:
    """Where a trial is measured, and who is told about it."""

    root: Path  # the folder that holds the datasets
    device: torch.device
    put: Callable[[bytes, str], str]  # stores bytes with a suffix and returns the blob's name
    workers: int = 0  # loader processes; they change the time, not the result
    on_epoch: Callable[[EpochRow], None] = lambda row: None  # called with each row of the history
    # Brings back and keeps the state of an unfinished training.
    checkpointer: Checkpointer = field(default_factory=Checkpointer)
    accept_busy: bool = False  # whether a machine that does other work too is taken as it is
    training: StoredTraining | None = None  # of the same network, to be scored and not repeated


@dataclass(frozen=True)
class Measured:
    """What a trial gives: ``result`` goes into its record, ``details`` beside it."""

    result: Result | None = None
    details: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()  # why the result cannot be relied on
