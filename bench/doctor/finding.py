"""What a check is given, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from bench.experiment.trial import TrialSettings
from bench.training.step import TrainSettings


@dataclass(frozen=True)
class Machine:
    """What is looked at: a device, the folder of the results, and one trial's settings, if any."""

    device: torch.device
    results: Path
    settings: TrialSettings | None = None  # of the first arm of the experiment that was named
    data: Path = Path("data")  # the folder of the datasets
    named: bool = False  # whether the device was asked for by its name
    trains: bool = True  # whether that experiment trains on loaded images, and times no passes

    @property
    def threads(self) -> int:
        """The threads that a trial computes with."""
        return (TrainSettings() if self.settings is None else self.settings.train).threads


@dataclass(frozen=True)
class Finding:
    """What a check found, in words and in numbers.

    ``skipped`` is what cannot be looked at here; then ``text`` says why.
    """

    state: Literal["ok", "off", "skipped"]
    text: str
    mend: str = ""  # what to do about what is off
    numbers: Mapping[str, Any] = field(default_factory=dict)  # as JSON


def ok(text: str, **numbers: Any) -> Finding:
    """Return the finding that something is as it should be."""
    return Finding("ok", text, numbers=numbers)


def off(text: str, mend: str, **numbers: Any) -> Finding:
    """Return the finding that something is not as it should be, and what to do about it."""
    return Finding("off", text, mend, numbers)


def skipped(why: str, **numbers: Any) -> Finding:
    """Return the finding that something cannot be looked at here."""
    return Finding("skipped", why, numbers=numbers)
