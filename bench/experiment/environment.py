"""What machine, device and versions a result comes from."""

from __future__ import annotations

import hashlib
import os
import platform
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, nearest

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cuda", "mps", "cpu")
# Beside torch, what computes anything of a result, itself or for another of these.
PACKAGES = (
    *("torchvision", "numpy", "scipy", "albumentations", "albucore", "opencv-python-headless"),
    *("pillow", "scikit-image", "segmentation-models-pytorch", "tifffile", "timm", "safetensors"),
)


def find_device(name: str) -> torch.device:
    """Return the device of a name, such as ``cuda:1``; ``auto`` takes CUDA, then MPS, then the CPU.

    UserError if the name is none, or this machine has no such device.
    """
    import torch

    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdecimal()) or (index and kind != "cuda"):
        raise UserError(f"--device: unknown device {name!r}{nearest(name, DEVICES)}")
    mps = int(torch.backends.mps.is_available())
    there = {"cuda": torch.cuda.device_count(), "mps": mps, "cpu": 1}
    if kind == "auto":
        return torch.device(next(kind for kind, count in there.items() if count))
    if int(index or 0) >= there[kind]:
        seen = ", ".join(f"{count} × {one}" for one, count in there.items() if count)
        raise UserError(f"--device: this machine has no {name!r} (torch sees {seen})")
    return torch.device(name)


def describe(device: torch.device, *, threads: int) -> dict[str, Any]:
    """Return what to store beside a result: versions, processor, device, threads."""
    name = _device_name(device)
    return {**_machine(), "device": device.type, "device_name": name, "threads": threads}


@lru_cache(maxsize=1)
def versions() -> str:
    """Return a digest of the versions of everything that a measurement goes through."""
    machine = _machine()
    used = " ".join(f"{name} {machine[name]}" for name in ("torch", *PACKAGES))
    return hashlib.sha256(used.encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def _machine() -> dict[str, Any]:
    import torch

    cudnn: Any = torch.backends.cudnn
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "cudnn": cudnn.version() if torch.cuda.is_available() else None,
        "torch": str(torch.__version__),  # with what it was built for, such as +cu130
        **{package: _version(package) for package in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # another build of OpenCV, say
        return None


def cpu_name() -> str:
    """Return the processor's name as the operating system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else platform.machine()
