"""A callable → raw times: warmed up until it is steady, then measured in windows of many calls."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Work = Callable[[], object]
TOLERANCE = 0.02  # three windows of the warm-up are to lie this close together
TOGETHER = 3
# A CPU's speed swings by itself: on a quiet virtual machine of 2 cores three windows of 0.2 s
# differed by 2 to 23 %. What swings is no bias, and repetitions show it; a warm-up that ends
# further apart than this has not come to an end.
UNSTEADY_HOST = 0.25
HOST_BOUND = 0.8  # share of the wall time below which a busy device is called idle
QUEUED_CALLS = 9  # calls whose time on the device is taken
CYCLES_PER_SECOND = 2e9  # of a GPU at most; a slower one is kept busy a little longer


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

    def between(self, start: Any, end: Any) -> float:
        """Return the milliseconds from one mark to another; both must be behind `wait`."""
        return float(end - start) * 1e3


class CudaClock(Clock):
    """Wall time and CUDA events of the current stream."""

    queues = True

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cuda: Any = torch.cuda  # torch's type hints lack some of it

    def wait(self) -> None:
        self.cuda.synchronize(self.device)

    def occupy(self, seconds: float) -> None:
        self.cuda._sleep(int(seconds * CYCLES_PER_SECOND))

    def mark(self) -> Any:
        event = self.cuda.Event(enable_timing=True)
        event.record(self.cuda.current_stream(self.device))
        return event

    def between(self, start: Any, end: Any) -> float:
        return float(start.elapsed_time(end))


class MpsClock(Clock):
    """Wall time on Apple's GPUs, whose queue has no events that could be trusted for this."""

    def wait(self) -> None:
        torch.mps.synchronize()


def clock_of(device: torch.device) -> Clock:
    """Return the clock for work on a device."""
    if device.type == "cuda":
        return CudaClock(device)
    return MpsClock() if device.type == "mps" else Clock()


@dataclass(frozen=True)
class WarmUp:
    """What came before measuring."""

    first_ms: float  # the first call: compiling, choosing algorithms, first allocations
    calls: int  # that make a window
    windows_ms: tuple[float, ...]  # milliseconds a call in each window
    settled: bool  # whether the last three windows agreed

    def problem(self, clock: Clock) -> str | None:
        """Say that times taken after this warm-up are not to be relied on; None if they are."""
        if self.settled or self.spread <= (TOLERANCE if clock.queues else UNSTEADY_HOST):
            return None
        return f"the warm-up did not settle: its last windows differ by {self.spread:.0%}"

    @property
    def spread(self) -> float:
        """Return by how much the last three windows differed, as a share of the fastest."""
        last = self.windows_ms[-TOGETHER:]
        return max(last) / min(last) - 1


def warm_up(work: Work, clock: Clock, *, window: float, limit: float) -> WarmUp:
    """Call ``work`` until three windows in a row agree within 2 %, or ``limit`` is over.

    A window lasts at least ``window`` seconds; the number of its calls follows from that. No
    further window is begun ``limit`` seconds after the first call, but three are run in any case.
    """
    first = _window(work, clock, 1)
    started = clock.now()  # compiling takes as long as it takes
    calls, times = 1, list[float]()
    while not (settled := _agree(times)):
        if clock.now() - started >= limit and len(times) >= TOGETHER:
            break
        each = _window(work, clock, calls)
        if each * calls < 1e3 * window * 0.95:  # windows of different length do not compare
            wanted = math.ceil(1.05e3 * window / max(each, 1e-6))
            calls, times = min(max(calls + 1, wanted), 100 * calls), []
        else:
            times.append(each)
    return WarmUp(first, calls, tuple(times), settled)


def measure(work: Work, clock: Clock, *, calls: int, windows: int) -> tuple[float, ...]:
    """Return the wall milliseconds of a call in each of some windows.

    The device is waited for before and behind a window, and never inside it: calls follow one
    another as they do in training.
    """
    return tuple(_window(work, clock, calls) for _ in range(windows))


def busy(work: Work, clock: Clock, *, calls: int = QUEUED_CALLS) -> tuple[float, ...]:
    """Return the milliseconds that the device itself needs for a call, by its own events.

    Each call is issued while the device is kept busy, so that its kernels lie in the queue and
    follow one another without waiting for the host. Empty for a device that has no queue.
    """
    if not clock.queues:
        return ()
    clock.wait()
    started = clock.now()
    work()
    issued = clock.now() - started
    times = []
    for _ in range(calls):
        clock.wait()
        clock.occupy(1e-3 + 1.5 * issued)
        start = clock.mark()
        work()
        end = clock.mark()
        clock.wait()
        times.append(clock.between(start, end))
    return tuple(times)


def quartiles(samples: tuple[float, ...]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile (linear between neighbours)."""
    low, median, high = np.quantile(samples, [0.25, 0.5, 0.75])
    return float(low), float(median), float(high)


def host_bound(wall: tuple[float, ...], device: tuple[float, ...]) -> str | None:
    """Say that the device waits for the host, where it does; None where it is kept busy."""
    if not device:
        return None
    wall_ms, device_ms = quartiles(wall)[1], quartiles(device)[1]
    if device_ms >= HOST_BOUND * wall_ms:
        return None
    return (
        f"host-bound: the device works {device_ms:.2f} ms of the {wall_ms:.2f} ms that a call "
        "takes, and waits for the host the rest of the time"
    )


def _window(work: Work, clock: Clock, calls: int) -> float:
    clock.wait()
    started = clock.now()
    for _ in range(calls):
        work()
    clock.wait()
    return (clock.now() - started) * 1e3 / calls


def _agree(times: list[float]) -> bool:
    last = times[-TOGETHER:]
    return len(last) == TOGETHER and max(last) <= (1 + TOLERANCE) * min(last)
