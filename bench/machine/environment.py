"""What machine, device and versions a result comes from."""

from __future__ import annotations

import hashlib
import os
import platform
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, nearest
from bench.machine import nvml

if TYPE_CHECKING:
    import torch

_SAID: list[str] = []  # why torch can use no GPU, which it says once in a process
DEVICES = ("auto", "cuda", "mps", "cpu")
# Beside torch, what computes anything of a result, itself or for another of these.
PACKAGES = (
    *("torchvision", "numpy", "scipy", "albumentations", "albucore", "opencv-python-headless"),
    *("pillow", "scikit-image", "segmentation-models-pytorch", "tifffile", "timm", "safetensors"),
)


def find_device(name: str) -> torch.device:
    """Return the device of a name, such as ``cuda:1``; ``auto`` takes CUDA, then MPS, then the CPU.

    UserError if the name is none, this machine has no such device, or torch was not built for it.
    """
    found = named_device(name)
    misfit = wrong_architecture(found)
    if misfit is not None:
        mend = "install a torch that is built for it, or take --device cpu"
        raise UserError(f"--device: {misfit}; {mend}")
    return found


def named_device(name: str) -> torch.device:
    """Return the device of a name as `find_device` does, also where torch was not built for it."""
    import torch

    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdecimal()) or (index and kind != "cuda"):
        raise UserError(f"--device: unknown device {name!r}{nearest(name, DEVICES)}")
    cuda, why = _cuda_devices()
    there = {"cuda": cuda, "mps": int(torch.backends.mps.is_available()), "cpu": 1}
    if kind == "auto":
        return torch.device(next(kind for kind, count in there.items() if count))
    if int(index or 0) >= there[kind]:
        seen = ", ".join(f"{count} × {one}" for one, count in there.items() if count)
        because = f"; {why}" if kind == "cuda" and why else ""
        raise UserError(f"--device: this machine has no {name!r} (torch sees {seen}{because})")
    return torch.device(name)


def use(device: torch.device) -> None:
    """Make a GPU the one that work goes to which names none, such as pinning of batches."""
    import torch

    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def unused_gpu() -> str | None:
    """Return a line that says why torch cannot use the GPU of this machine; None if it can."""
    _, why = _cuda_devices()
    return f"no GPU is used: {why}" if why else None


def wrong_architecture(device: torch.device) -> str | None:
    """Say that torch was not built for a GPU, whose first kernel would fail; None if it was.

    Code for one architecture runs on later ones of the same major version, and code to be compiled
    by the driver ("compute_90") on all later ones.
    """
    import torch

    if device.type != "cuda":
        return None
    built = torch.cuda.get_arch_list() if torch.version.cuda is not None else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says it in many lines
        capability = _told(lambda: torch.cuda.get_device_capability(device))
    if not built or capability is None:
        return None
    for name in built:
        kind, _, digits = name.partition("_")
        number = int("".join(filter(str.isdecimal, digits)))
        made_for = divmod(number, 10)
        same = made_for[0] == capability[0] or kind == "compute"
        if same and made_for <= tuple(capability):
            return None
    major, minor = capability
    return (
        f"{_told(lambda: _device_name(device)) or device} (sm_{major}{minor}) cannot be used: "
        f"torch {torch.__version__} is built for {', '.join(built)}"
    )


def describe(device: torch.device, *, threads: int) -> dict[str, Any]:
    """Return what to store beside a result: versions, processor, device, threads.

    What cannot be told is None: this never raises, not even after the GPU has failed.
    """
    return {
        **_machine(),
        "device": device.type,
        "device_name": _told(lambda: _device_name(device)),
        "threads": threads,
        **(_gpu(device) if device.type == "cuda" else {}),
    }


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
        "cuda": _told(lambda: torch.version.cuda if torch.cuda.is_available() else None),
        "cudnn": _told(lambda: cudnn.version() if torch.cuda.is_available() else None),
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


def _told(ask: Callable[[], Any]) -> Any:
    """Return an answer, or None where there is none: torch and NVML raise many kinds of errors."""
    try:
        return ask()
    except Exception:
        return None


def _device_name(device: torch.device) -> str:
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else platform.machine()


def _cuda_devices() -> tuple[int, str]:
    """Return how many CUDA devices torch can use, and why none of those that may be there.

    NVML, which ``torch.cuda.device_count`` asks, counts devices also where the driver is too old
    for torch's runtime. The runtime's reason is a warning of torch's.
    """
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if usable:
        return torch.cuda.device_count(), ""
    for warning in caught:
        said = " ".join(str(warning.message).split()).removeprefix("CUDA initialization: ")
        # After its first sentence torch goes on with advice and with the place in its source.
        _SAID.append(said.partition(". ")[0].partition(" (Triggered internally")[0])
    return 0, _SAID[-1] if _SAID else ""


def _gpu(device: torch.device) -> dict[str, Any]:
    """Return the driver's version and the power limit of a GPU."""

    def ask() -> dict[str, Any] | None:
        with nvml.opened(device) as gpu:
            if gpu is None:
                return None
            return {"driver": gpu.driver(), "power_limit_w": gpu.power_limit_w()}

    return _told(ask) or {"driver": None, "power_limit_w": None}
