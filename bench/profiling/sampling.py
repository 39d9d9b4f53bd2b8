"""A GPU while it works: clocks, power and temperature from a thread, and NVML's counters."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from bench.machine.nvml import Gpu, limited_seconds

PERIOD = 0.05  # seconds between two samples
Sample = dict[str, Any]


@dataclass
class Seen:
    """What a GPU did in a ``with`` block of `watching`; filled in when the block ends."""

    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0
    joules: float | None = None  # by NVML's counter
    limited: dict[str, float | None] = field(default_factory=dict)  # reason → seconds

    def state(self) -> dict[str, Any]:
        """Return all of it as JSON, clocks by their median, the rest by its mean or largest."""
        return {
            "samples": len(self.samples),
            "sm_clock_mhz": _of(self.samples, "sm_clock_mhz", median),
            "sm_clock_lowest_mhz": _of(self.samples, "sm_clock_mhz", min),
            "memory_clock_mhz": _of(self.samples, "memory_clock_mhz", median),
            "temperature_c": _of(self.samples, "temperature_c", max),
            "power_w": _of(self.samples, "power_w", fmean),
            "throttle_reasons": _reasons(self.samples),
            "limited_seconds": self.limited,
            "joules": self.joules,
            "seconds": self.seconds,
        }


@contextlib.contextmanager
def watching(
    gpu: Gpu | None,
    *,
    period: float = PERIOD,
    now: Callable[[], float] = time.perf_counter,
) -> Iterator[Seen]:
    """Sample a GPU in a thread for the time of a ``with`` block; nothing without a GPU.

    The first sample is taken after ``period`` seconds, when the block's work is under way. NVML is
    asked outside Python's lock, so the block's own thread goes on issuing work.
    """
    seen = Seen()
    if gpu is None:
        yield seen
        return
    over = threading.Event()

    def sample() -> None:
        while not over.wait(period):
            seen.samples.append(gpu.reading())

    thread = threading.Thread(target=sample, daemon=True)
    joules, counters, started = gpu.joules(), gpu.counters(), now()
    thread.start()
    try:
        yield seen
    finally:
        seen.seconds = now() - started
        spent = gpu.joules()
        over.set()
        thread.join()
        seen.limited = limited_seconds(counters, gpu.counters())
        if joules is not None and spent is not None:
            seen.joules = spent - joules


def _of(
    samples: Sequence[Sample], name: str, summarise: Callable[[list[float]], float]
) -> float | None:
    known = [sample[name] for sample in samples if sample[name] is not None]
    return summarise(known) if known else None


def _reasons(samples: Sequence[Sample]) -> list[str] | None:
    """Return each reason that some sample names; None if none of them could tell."""
    known = [sample["throttle_reasons"] for sample in samples]
    told = [reasons for reasons in known if reasons is not None]
    return list(dict.fromkeys(one for reasons in told for one in reasons)) if told else None
