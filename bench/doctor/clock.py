"""The clocks by which a GPU is timed: a spin of a known length, and events against wall time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from bench.doctor.finding import Finding, Machine, off, ok
from bench.profiling.clocks import Clock, Work, clock_of

KNOWN = 0.010  # seconds of a spin
TIMES = 5
# Clocks of a GPU under light load vary by a step or two (15 MHz each, of about 1,500).
SPIN_ERROR = 0.05
# Issuing a window and waiting for its end take some 0.02 ms of 300.
EVENT_ERROR = 0.02
WINDOW = 0.3  # seconds
SIDE = 8192  # of the matrices; a product takes 2 ms on an H100 and 150 ms in fp32 on a T4
UNSTEADY = "see the check under load: something changes the clock rate of the GPU"


def spin(machine: Machine, clock: Clock | None = None) -> Finding:
    """Spin for 10 ms, by a rate that was measured, and measure that by events."""
    clock = clock or clock_of(machine.device)
    clock.occupy(KNOWN)  # measures the rate of spinning first
    took = []
    for _ in range(TIMES):
        clock.wait()
        start = clock.mark()
        clock.occupy(KNOWN)
        end = clock.mark()
        clock.wait()
        took.append(clock.between(start, end))
    wanted, found = 1e3 * KNOWN, median(took)
    text = f"a spin of {wanted:.0f} ms takes {found:.2f} ms by events"
    if abs(found / wanted - 1) > SPIN_ERROR:
        return off(f"{text} (at most {SPIN_ERROR:.0%} off is expected)", UNSTEADY, took_ms=took)
    return ok(text, took_ms=took)


def events(
    machine: Machine,
    clock: Clock | None = None,
    product: Callable[[torch.device], Work] | None = None,
) -> Finding:
    """Compare the time of large products of matrices by events with their wall time."""
    clock, work = clock or clock_of(machine.device), (product or _product)(machine.device)
    work()
    clock.wait()
    once = _both(work, clock, 1)[0]
    calls = max(2, round(1e3 * WINDOW / max(once, 1e-3)))
    pairs = [_both(work, clock, calls) for _ in range(TIMES)]
    by_events, by_wall = (median(values) for values in zip(*pairs, strict=True))
    text = f"{calls} products of matrices take {by_events:.1f} ms by events"
    text += f" and {by_wall:.1f} ms by the wall clock"
    numbers = {"events_ms": by_events, "wall_ms": by_wall, "calls": calls}
    if abs(by_events / by_wall - 1) > EVENT_ERROR:
        mend = "do not time on this machine before it is known why; is the host or the GPU busy?"
        return off(f"{text} (at most {EVENT_ERROR:.0%} apart is expected)", mend, **numbers)
    return ok(text, **numbers)


def _both(work: Work, clock: Clock, calls: int) -> tuple[float, float]:
    """Return the milliseconds of some calls by events, and by the wall clock."""
    clock.wait()
    started, start = clock.now(), clock.mark()
    for _ in range(calls):
        work()
    end = clock.mark()
    clock.wait()
    return clock.between(start, end), 1e3 * (clock.now() - started)


def _product(device: torch.device) -> Work:
    left, right = (torch.randn(SIDE, SIDE, device=device, dtype=torch.float16) for _ in range(2))
    return partial(torch.matmul, left, right, out=left.clone())
