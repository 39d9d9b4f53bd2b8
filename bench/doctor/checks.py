"""All checks, in the order in which they are made, and how one is made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from bench.doctor import (
    apart,
    clock,
    compile_modes,
    cpu,
    driver,
    files,
    gpu_state,
    libraries,
    limits,
    loader,
    memory,
    numerics,
    peaks,
    repeats,
)
from bench.doctor.finding import Finding, Machine, off, skipped
from bench.execution.job import one_line
from bench.machine import environment

Look = Callable[[Machine], Finding]


@dataclass(frozen=True)
class Check:
    """One thing that is looked at."""

    name: str
    look: Look
    device: str | None = None  # the only kind of device that has it
    # For so long in a process of its own; None: in this one. What uses the device has its own.
    seconds: float | None = None
    needed: bool = False  # where it is off, no other check of that device is made
    on_device: bool = False  # whether it computes on the device, of whatever kind that is


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
    Check("disk space", files.disk_space),
    Check("writing results", files.writing),
    Check("file locks", files.locks),
    Check("other processes", cpu.others),
    Check("binding of threads", cpu.bound),
    Check("waiting threads", cpu.spinning),
    Check("threads", cpu.threads),
    Check("GPU", driver.usable, seconds=30, needed=True),
    Check("what NVML tells", gpu_state.told, "cuda", seconds=15),
    Check("others on the GPU", gpu_state.others, "cuda", seconds=15),
    Check("under load", gpu_state.under_load, "cuda", seconds=15),
    Check("a known 10 ms", clock.spin, "cuda", seconds=10),
    Check("events and wall time", clock.events, "cuda", seconds=15),
    Check("peak rates", peaks.reached, "cuda", seconds=20),
    Check("copying to the GPU", memory.copying, "cuda", seconds=15),
    Check("running out of memory", memory.exhausted, "cuda", seconds=15),
    Check("fp16", numerics.scaling, "cuda", seconds=15),
    Check("networks", numerics.steps, "cuda", seconds=30),
    Check("compiling", compile_modes.all_modes, "cuda"),  # has a process of its own
    Check("repeatability", repeats.same_bytes, on_device=True),
    Check("loader", loader.rates, on_device=True),
)


def run(machine: Machine, checks: Sequence[Check] = CHECKS) -> Iterator[Checked]:
    """Make all checks, one after the other; yield each when it is made."""
    without, kind = False, machine.device.type
    for check in checks:
        started = time.perf_counter()
        of_device = check.device == kind or (check.on_device and kind != "cpu")
        useless = without and of_device
        finding = skipped("the GPU cannot be used") if useless else made(check, machine)
        without |= check.needed and finding.state == "off"
        yield Checked(check.name, finding, round(time.perf_counter() - started, 3))


def made(check: Check, machine: Machine) -> Finding:
    """Make a check; where it breaks down, that is what was found."""
    if check.device not in (None, machine.device.type):
        return skipped(f"only for {check.device} (this device: {machine.device.type})")
    try:
        if check.seconds is None:
            return check.look(machine)
        look = partial(_alone, check)
        found: Finding = apart.run(look, machine, seconds=check.seconds).only
        return found
    except Exception as error:  # the other checks go on
        mend = "see what else is off; if nothing is, this check itself is wrong: report it"
        return off(f"this check broke down: {one_line(error)}", mend)


def _alone(check: Check, machine: Machine) -> Iterator[Finding]:
    if check.device is not None:
        environment.use(machine.device)
    yield check.look(machine)
