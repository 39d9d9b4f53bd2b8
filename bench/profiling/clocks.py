"""Clocks of devices: wall time, CUDA events, and a spin that keeps a GPU busy meanwhile."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

Work = Callable[[], object]
SPIN_CYCLES = 20_000_000  # of a spin by which the rate of spinning is measured: about 10 ms
SPINS = 5
_WAITS = "synchronizing CUDA operation"  # in the warning of torch's mode that notices waiting


class Clock:
    """Wall time of work that is done when its call returns, as on a CPU."""

    queues = False  # whether a call may return before the device has done its work

    def now(self) -> float:
        """Return seconds since some moment."""
        return time.perf_counter()

    def wait(self) -> None:
        """Return when the device has done all that it was told."""

    def occupy(self, seconds: float) -> None:
        """Keep the device busy for a while, so that what is issued next queues up."""

    def mark(self) -> Any:
        """Return a mark of this moment in the device's order of work."""
        return self.now()

    def passed(self, mark: Any) -> bool:
        """Tell whether the device has come to a mark."""
        return True

    def between(self, start: Any, end: Any) -> float:
        """Return the milliseconds from one mark to another; both must be behind `wait`."""
        return float(end - start) * 1e3

    @contextlib.contextmanager
    def noting_waits(self) -> Iterator[list[str]]:
        """Yield a list that names, after the block, lines of code that waited for the device."""
        yield []


class CudaClock(Clock):
    """Wall time and CUDA events of the current stream."""

    queues = True

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cuda: Any = torch.cuda  # torch's type hints lack some of it
        self._cycles_per_second: float | None = None

    def wait(self) -> None:
        self.cuda.synchronize(self.device)

    def occupy(self, seconds: float) -> None:
        rate = self._cycles_per_second or self.spin_rate()
        self.cuda._sleep(max(1, int(seconds * rate)))

    def spin_rate(self) -> float:
        """Measure how many cycles of a spin pass in a second, by events; `occupy` needs it once.

        Of several spins the fastest counts: while a GPU raises its clock, the first are slower, and
        a spin that is too long does no harm.
        """
        milliseconds = []
        for _ in range(SPINS):
            self.wait()
            start = self.mark()
            self.cuda._sleep(SPIN_CYCLES)
            end = self.mark()
            self.wait()
            milliseconds.append(self.between(start, end))
        self._cycles_per_second = 1e3 * SPIN_CYCLES / min(milliseconds)
        return self._cycles_per_second

    def mark(self) -> Any:
        event = self.cuda.Event(enable_timing=True)
        event.record(self.cuda.current_stream(self.device))
        return event

    def passed(self, mark: Any) -> bool:
        return bool(mark.query())

    def between(self, start: Any, end: Any) -> float:
        return float(start.elapsed_time(end))

    @contextlib.contextmanager
    def noting_waits(self) -> Iterator[list[str]]:
        places: list[str] = []
        before = self.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.cuda.set_sync_debug_mode("warn")
            try:
                yield places
            finally:
                self.cuda.set_sync_debug_mode(before)
                waits = (one for one in caught if _WAITS in str(one.message))
                named = (f"{Path(one.filename).name}:{one.lineno}" for one in waits)
                places += dict.fromkeys(named)


class MpsClock(Clock):
    """Wall time on Apple's GPUs, whose queue has no events that could be trusted for this."""

    def wait(self) -> None:
        torch.mps.synchronize()


def clock_of(device: torch.device) -> Clock:
    """Return the clock for work on a device."""
    if device.type == "cuda":
        return CudaClock(device)
    return MpsClock() if device.type == "mps" else Clock()
