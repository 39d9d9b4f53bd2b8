"""A GPU, its driver and torch: whether they fit each other, and what there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from bench.doctor import apart
from bench.doctor.finding import Finding, Machine, off, ok, skipped
from bench.machine import environment
from bench.training.precision import Precision

DRIVER = (
    "install a newer driver, or a torch for an older CUDA (pytorch.org/get-started); in a "
    "container, start it with --gpus all"
)
WHEEL = "install a torch that is built for it (pytorch.org/get-started), or take --device cpu"


def usable(machine: Machine) -> Finding:
    """Look whether torch can use the GPU: the driver, the architecture, and a first kernel."""
    device = machine.device
    if device.type != "cuda":
        why = None if machine.named else environment.unused_gpu()
        if why is None:
            return skipped(f"only for cuda (this device: {device.type})")
        return off(why, DRIVER)
    misfit = environment.wrong_architecture(device)
    if misfit is not None:
        return off(misfit, WHEEL)
    found = environment.describe(device, threads=machine.threads)
    numbers = {name: found.get(name) for name in ("device_name", "driver", "cuda", "cudnn")}
    try:
        total = _first_kernel(device)
    except RuntimeError as error:
        return off(f"the first kernel failed: {' '.join(str(error).split())[:200]}", DRIVER)
    if total != 2:
        return off(f"the first kernel computed 1 + 1 = {total:g}", "do not use this GPU", **numbers)
    driver = found.get("driver") or "of an unknown version"
    text = f"{found['device_name']}, driver {driver}, torch for CUDA {found['cuda']}"
    return ok(text, **numbers)


def half_format(device: torch.device) -> Precision:
    """Return the format of 16 bits that a device has units for."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device)[0] < 8:
        return "fp16"
    return "bf16"


def described(machine: Machine) -> dict[str, Any]:
    """Return `environment.describe`; of a GPU, as a process of its own tells it."""
    if machine.device.type != "cuda":
        return environment.describe(machine.device, threads=machine.threads)
    rows = apart.run(_describe, machine, seconds=60).rows
    return rows[0] if rows else {"device": machine.device.type, "device_name": None}


def _describe(machine: Machine) -> Iterator[dict[str, Any]]:
    yield environment.describe(machine.device, threads=machine.threads)


def _first_kernel(device: torch.device) -> float:
    return torch.ones(2, device=device).sum().item()
