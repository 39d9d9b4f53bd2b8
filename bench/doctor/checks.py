"""All checks, in the order in which they are made, and how one is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from bench.doctor import apart, cpu, files, libraries, limits
from bench.doctor.finding import Finding, Machine, off, skipped
from bench.execution.job import one_line

Look = Callable[[Machine], Finding]


@dataclass(frozen=True)
class Check:
    """One thing that is looked at."""

    name: str
    look: Look
    device: str | None = None  # the only kind of device that has it
    # For so long in a process of its own; None: in this one. What uses the device has its own.
    seconds: float | None = None


@dataclass(frozen=True)
class Checked:
    """A check that was made, and how long that took."""

    name: str
    finding: Finding
    seconds: float


CHECKS = (
    Check("libraries", libraries.versions),
    Check("cores", limits.cores),
    Check("memory", limits.memory),
    Check("shared memory", limits.shared_memory),
    Check("room for results", files.room),
    Check("writing results", files.writing),
    Check("file locks", files.locks),
    Check("other processes", cpu.others),
    Check("binding of threads", cpu.bound),
    Check("waiting threads", cpu.spinning),
    Check("threads", cpu.threads, seconds=20),
)


def run(machine: Machine, checks: Sequence[Check] = CHECKS) -> Iterator[Checked]:
    """Make all checks, one after the other; yield each when it is made."""
    for check in checks:
        started = time.perf_counter()
        finding = made(check, machine)
        yield Checked(check.name, finding, round(time.perf_counter() - started, 3))


def made(check: Check, machine: Machine) -> Finding:
    """Make a check; where it breaks down, that is what was found."""
    if check.device not in (None, machine.device.type):
        return skipped(f"only for {check.device} (this device: {machine.device.type})")
    try:
        if check.seconds is None:
            return check.look(machine)
        look = partial(_alone, check.look)
        found: Finding = apart.run(look, machine, seconds=check.seconds).only
        return found
    except Exception as error:  # the other checks go on
        mend = "see what else is off; if nothing is, this check itself is wrong: report it"
        return off(f"this check broke down: {one_line(error)}", mend)


def _alone(look: Look, machine: Machine) -> Iterator[Finding]:
    yield look(machine)
