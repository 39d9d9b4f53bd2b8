"""Peak rates of a device, as measured: operations of matrix products, bytes of copies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch

from bench.profiling import clocks, timing
from bench.training.precision import AUTOCAST, Precision

WINDOW = 0.05  # seconds
# (values to copy, side of the square matrices): beyond every cache, and large enough to be fast.
SIZES = {"cuda": (2**28, 8192), "cpu": (2**26, 1536)}


@dataclass(frozen=True)
class Peaks:
    """The highest rates that a device reached: operations and bytes per second."""

    flops: float
    bytes: float


def measure(device: torch.device, precision: Precision) -> Peaks:
    """Measure a large product of matrices in a precision, and a large copy, on a device.

    The fastest window counts. How float32 is computed is left to `precision.float32_as`.
    ``torch.OutOfMemoryError`` if the device has too little memory.
    """
    clock = clocks.clock_of(device)
    copied, side = SIZES.get(device.type, SIZES["cpu"])
    dtype = AUTOCAST.get(precision, torch.float32)
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    flops = 2 * side**3 / _fastest(partial(torch.matmul, left, right, out=left.clone()), clock)
    del left, right  # the copy needs their memory
    source = torch.zeros(copied, device=device)
    moved = 2 * copied * source.element_size()
    return Peaks(flops, moved / _fastest(partial(torch.empty_like(source).copy_, source), clock))


def _fastest(work: clocks.Work, clock: clocks.Clock) -> float:
    """Return the seconds of a call in the fastest of some windows."""
    warm = timing.warm_up(work, clock, window=WINDOW, limit=0.5)
    samples = timing.measure(work, clock, calls=warm.calls, windows=5)
    return min(*samples, *warm.windows_ms) / 1e3
