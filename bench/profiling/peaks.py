"""What a device can do at best: the fastest arithmetic and memory that it was seen to have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from bench.profiling import timing
from bench.training.precision import AUTOCAST, Precision

WINDOW = 0.05  # seconds
# (values to copy, side of the square matrices): beyond every cache, and large enough to be fast.
SIZES = {"cuda": (2**28, 8192), "cpu": (2**26, 1536)}


@dataclass(frozen=True)
class Ceilings:
    """What a device reached at best: operations and bytes each second."""

    flops: float
    bytes: float


def measure(device: torch.device, precision: Precision) -> Ceilings:
    """Measure a large product of matrices in a precision, and a large copy, on a device.

    The fastest window counts. How float32 is computed is left to `precision.float32_as`.

    Raises:
        torch.OutOfMemoryError: if the device has no room for it.
    """
    copied, side = SIZES.get(device.type, SIZES["cpu"])
    return Ceilings(_product_rate(device, precision, side), _copy_rate(device, copied))


def _product_rate(device: torch.device, precision: Precision, side: int) -> float:
    dtype = AUTOCAST.get(precision, torch.float32)
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    product = torch.empty_like(left)
    work = partial(torch.matmul, left, right, out=product)
    return 2 * side**3 / _fastest(work, timing.clock_of(device))


def _copy_rate(device: torch.device, values: int) -> float:
    source = torch.zeros(values, device=device)
    work = partial(torch.empty_like(source).copy_, source)
    moved = 2 * values * source.element_size()
    return moved / _fastest(work, timing.clock_of(device))


def _fastest(work: timing.Work, clock: timing.Clock) -> float:
    """Return the seconds of a call in the fastest of some windows."""
    warm = timing.warm_up(work, clock, window=WINDOW, limit=0.5)
    samples = timing.measure(work, clock, calls=warm.calls, windows=5)
    return min(*samples, *warm.windows_ms) / 1e3
