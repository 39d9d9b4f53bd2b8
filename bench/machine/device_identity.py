"""Which device a result is of, as far as results of different devices must not be mixed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.machine import environment

if TYPE_CHECKING:
    import torch


def of(device: torch.device) -> str:
    """Return the name of a device and, of a GPU, the power that it is held below."""
    return recorded(environment.describe(device, threads=0))


def recorded(environment: Mapping[str, Any]) -> str:
    """Return the same of the environment of a record."""
    name = str(environment.get("device_name") or environment.get("device"))
    limit = environment.get("power_limit_w")
    return name if limit is None else f"{name}, at most {limit:.0f} W"
