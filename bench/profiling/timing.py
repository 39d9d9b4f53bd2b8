"""A callable → raw times: warmed up until it is steady, then measured in windows of many calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.profiling import steadiness
from bench.profiling.clocks import Clock, Work

Ended = Literal["standard error", "time"]
FEWEST = 3  # windows of a warm-up, however short its time
# Noise is to leave a standard error of no more than this of what windows of the warm-up drift by.
DRIFT_ERROR = 0.01
DRIFT = 0.02  # beyond which times on a GPU have not settled
# A CPU's speed changes by itself: on a quiet virtual machine of 2 cores three windows of 0.2 s
# differed by 2 to 23 %. What comes and goes is no bias, and repetitions show it; times that drift
# by more than this have not settled.
DRIFT_HOST = 0.25
HOST_BOUND = 0.8  # share of the wall time below which a busy device is called idle


@dataclass(frozen=True)
class WarmUp:
    """What came before measuring."""

    first_ms: float  # the first call: compiling, choosing algorithms, first allocations
    calls: int  # that make a window
    windows_ms: tuple[float, ...]  # milliseconds a call in each window
    settled: bool  # whether its last windows neither rose nor fell

    def problem(self, clock: Clock) -> str | None:
        """Say that times taken after this warm-up are not to be relied on; None if they are."""
        if self.settled or abs(self.drift) <= (DRIFT if clock.queues else DRIFT_HOST):
            return None
        how = "faster" if self.drift < 0 else "slower"
        return f"the warm-up did not settle: its last windows became {how} by {abs(self.drift):.0%}"

    @property
    def drift(self) -> float:
        """Return by which share of their median the last windows changed; negative: faster."""
        return steadiness.drift(_last(self.windows_ms))


@dataclass(frozen=True)
class Windows:
    """The windows that were measured, and why there are no more."""

    times: tuple[float, ...]  # milliseconds of a call in each
    standard_error: float  # of their median, as a share of it
    ended: Ended  # because it was small enough, or because time was up


def warm_up(work: Work, clock: Clock, *, window: float, limit: float) -> WarmUp:
    """Call ``work`` until the times of windows no longer rise or fall, or ``limit`` is over.

    The later half of all windows is looked at. Warming up goes on while these have a trend, and
    while noise could hide one. A window lasts at least ``window`` seconds; the number of its calls
    follows from that. No further window is begun ``limit`` seconds after the first call, but three
    are run in any case.
    """
    first = _window(work, clock, 1)
    started = clock.now()  # compiling takes as long as it takes
    calls, times = 1, list[float]()
    while not _is_steady(times):
        if clock.now() - started >= limit and len(times) >= FEWEST:
            break
        each = _window(work, clock, calls)
        if each * calls < 1e3 * window * 0.95:  # windows of different length do not compare
            wanted = math.ceil(1.05e3 * window / max(each, 1e-6))
            calls, times = min(max(calls + 1, wanted), 100 * calls), []
        else:
            times.append(each)
    return WarmUp(first, calls, tuple(times), not steadiness.has_trend(_last(times)))


def measure(work: Work, clock: Clock, *, calls: int, windows: int) -> tuple[float, ...]:
    """Return the wall milliseconds of a call in each of some windows.

    The device is waited for before and behind a window, and never inside it: calls follow one
    another as they do in training.
    """
    return tuple(_window(work, clock, calls) for _ in range(windows))


def measure_until(
    work: Work, clock: Clock, *, calls: int, windows: int, standard_error: float, limit: float
) -> Windows:
    """Measure windows as ``measure`` does, until the standard error of their median is small.

    At least ``windows``; no more once the standard error is ``standard_error`` of the median or
    less, or ``limit`` seconds have passed.
    """
    started = clock.now()
    times = [*measure(work, clock, calls=calls, windows=windows)]
    while (error := steadiness.standard_error(times)) > standard_error:
        if clock.now() - started >= limit:
            return Windows(tuple(times), error, "time")
        times.append(_window(work, clock, calls))
    return Windows(tuple(times), error, "standard error")


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


def _last(times: Sequence[float]) -> Sequence[float]:
    """Return the later half of the times, and no fewer than a trend can be told from."""
    return times[-max(steadiness.FEWEST, len(times) // 2) :]


def _is_steady(times: Sequence[float]) -> bool:
    last = _last(times)
    if len(last) < steadiness.FEWEST or steadiness.has_trend(last):
        return False
    return steadiness.drift_error(last) <= DRIFT_ERROR
