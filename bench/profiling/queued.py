"""What a device itself needs for a call: events around calls that wait in its queue."""

from __future__ import annotations

from dataclasses import dataclass

from bench.profiling.clocks import Clock, Work

QUEUED_CALLS = 9  # calls whose time on the device is taken
LONGER = 4  # how often the spin before a call is made twice as long


@dataclass(frozen=True)
class Queued:
    """Milliseconds of calls by the device's own events, or why there are none."""

    times: tuple[float, ...] = ()
    problem: str | None = None


def busy(work: Work, clock: Clock, *, calls: int = QUEUED_CALLS) -> Queued:
    """Time calls that are issued while the device is kept busy.

    So their kernels lie in the queue and follow one another without waiting for the host. A call
    counts only if the device was still busy with the spin before it when all of it was issued;
    otherwise the spin is made longer. Nothing for a device that has no queue.
    """
    if not clock.queues:
        return Queued()
    clock.wait()
    started = clock.now()
    work()
    spin = 1e-3 + 1.5 * (clock.now() - started)
    times: list[float] = []
    longer = 0
    while len(times) < calls:
        taken = _behind_a_spin(work, clock, spin)
        if taken is not None:
            times.append(taken)
        elif longer == LONGER:
            return Queued(problem=_why(work, clock, spin))
        else:
            longer, spin = longer + 1, 2 * spin
    return Queued(tuple(times))


def _behind_a_spin(work: Work, clock: Clock, spin: float) -> float | None:
    """Return the milliseconds of a call; None if the spin was over before it was issued."""
    clock.wait()
    clock.occupy(spin)
    start = clock.mark()
    work()
    end = clock.mark()
    outlasted = not clock.passed(start)
    clock.wait()
    return clock.between(start, end) if outlasted else None


def _why(work: Work, clock: Clock, spin: float) -> str:
    with clock.noting_waits() as places:
        work()
    clock.wait()
    if places:
        named = ", ".join(places[:3]) + (", …" if len(places) > 3 else "")
        return f"a call waits for the device in the middle of its work ({named})"
    return (
        f"issuing a call took longer than {spin:.3g} s for which the device was kept busy; a call "
        "may have more kernels than fit into the device's queue, or wait for the device"
    )
