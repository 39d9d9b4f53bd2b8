"""A GPU as NVML tells of it: what is not told, what else runs there, what happens under load."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from bench.doctor.finding import Finding, Machine, off, ok
from bench.machine import nvml
from bench.machine.nvml import Gpu
from bench.profiling import device_state, sampling
from bench.profiling.clocks import clock_of

# Without these a throttled GPU, or another process on it, is not noticed.
NEEDED = ("throttle_reasons", "processes", "utilisation_percent")
LOAD = 1.5  # seconds of work; a GPU raises its clocks within a tenth of one
SIDE = 4096  # of the matrices; a product takes 0.2 ms on an H100 and 5 ms on a T4
AT_ONCE = 20  # products that are issued before the device is waited for
SLOW = 0.6  # of the highest clock; a power cap lowers it further, by design
UNKNOWN = (
    "install nvidia-ml-py; in a container, let the driver's libnvidia-ml.so be there "
    "(NVIDIA_DRIVER_CAPABILITIES=compute,utility)"
)
HIDDEN = "do not share the GPU, and watch nvidia-smi on the host meanwhile"
Load = Callable[[torch.device], None]


def told(machine: Machine) -> Finding:
    """Look which of the values that measuring records NVML tells of this GPU."""
    with nvml.opened(machine.device) as gpu:
        if gpu is None:
            return off("NVML does not know this GPU: throttling is not noticed", UNKNOWN)
        values = _values(gpu)
    missing = [name for name, value in values.items() if value is None]
    needed = [name for name in missing if name in NEEDED]
    if needed:
        text = f"NVML does not tell {', '.join(missing)}: not all that disturbs times is noticed"
        return off(text, f"update the driver and nvidia-ml-py; else {HIDDEN}", missing=missing)
    if missing:
        text = f"NVML tells what decides whether times are valid, but not {', '.join(missing)}"
        return ok(text, missing=missing)
    return ok("NVML tells all that is recorded", missing=missing)


def others(machine: Machine) -> Finding:
    """Look what else uses the GPU, and whether NVML would list it."""
    # A GPU's processes are those with a context on it, as this one has from now on.
    context = _context(machine.device)
    with nvml.opened(machine.device) as gpu:
        if gpu is None:
            return off("NVML does not know this GPU: other processes are not noticed", UNKNOWN)
        state = device_state.first_look(gpu)
        listed = gpu.processes()
    del context
    percent = state["gpu"]["utilisation_percent"]
    numbers = {"processes": listed, "utilisation_percent": percent}
    found = list(dict.fromkeys(device_state.busy_before({"first": state})))
    if found:
        mend = "end it, or wait; times are stored as invalid unless run has --accept-busy"
        return off("; ".join(found), mend, **numbers)
    if not listed:
        text = "NVML does not list this process, so it would list no other either"
        return off(text, f"start the container with --pid=host; else {HIDDEN}", **numbers)
    return ok(f"no other process is on the GPU, and it is {percent or 0} % busy", **numbers)


def under_load(machine: Machine, load: Load | None = None) -> Finding:
    """Watch clocks, power and temperature while the GPU multiplies matrices."""
    with nvml.opened(machine.device) as gpu:
        if gpu is None:
            return off("NVML does not know this GPU: throttling is not noticed", UNKNOWN)
        with sampling.watching(gpu) as seen:
            (load or _multiply)(machine.device)
        most, limit, state = gpu.most_sm_clock_mhz(), gpu.power_limit_w(), seen.state()
    numbers = {**state, "sm_clock_most_mhz": most, "power_limit_w": limit}
    reasons = [one for one in state["throttle_reasons"] or () if one != "idle"]
    text = "under load: " + _words(numbers, reasons)
    slowed = list(dict.fromkeys(device_state.throttled({"during": {"gpu": state}})))
    if slowed:
        mend = "look after its cooling and power supply (nvidia-smi -q -d PERFORMANCE,TEMPERATURE)"
        return off(f"{'; '.join(slowed)} ({text})", mend, **numbers)
    clock = state["sm_clock_mhz"]
    if clock and most and clock < SLOW * most and "power cap" not in reasons:
        mend = "see nvidia-smi -q -d CLOCK; nvidia-smi -rgc takes back a clock that was set"
        return off(f"{text}: less than {SLOW:.0%} of the highest clock", mend, **numbers)
    return ok(text, **numbers)


def _context(device: torch.device) -> object:
    return torch.zeros(1, device=device)


def _values(gpu: Gpu) -> dict[str, Any]:
    """Return name → what NVML tells now, of all that measuring records."""
    counters = [value for value in gpu.counters().values() if value is not None]
    return {
        **gpu.reading(),
        "sm_clock_most_mhz": gpu.most_sm_clock_mhz(),
        "power_limit_w": gpu.power_limit_w(),
        "utilisation_percent": gpu.utilisation_percent(),
        "processes": gpu.processes(),
        "joules": gpu.joules(),
        "limited_seconds": counters or None,
    }


def _words(numbers: dict[str, Any], reasons: list[str]) -> str:
    """Return clocks, power and temperature as far as they are known."""
    shown = (
        ("sm_clock_mhz", "sm_clock_most_mhz", "MHz"),
        ("power_w", "power_limit_w", "W"),
        ("temperature_c", None, "°C"),
    )
    parts = []
    for name, limit, unit in shown:
        if numbers[name] is not None:
            most = numbers[limit] if limit else None
            bound = "" if most is None else f" of at most {most:.0f}"
            parts.append(f"{numbers[name]:.0f}{bound} {unit}")
    limited = f"clocks limited by {', '.join(reasons)}" if reasons else "nothing limits the clocks"
    if numbers["throttle_reasons"] is None:
        limited = "what limits the clocks is not told"
    return ", ".join([*parts, limited])


def _multiply(device: torch.device) -> None:
    """Multiply matrices for a while."""
    clock = clock_of(device)
    matrix = torch.randn(SIDE, SIDE, device=device, dtype=torch.float16)
    out, until = matrix.clone(), time.perf_counter() + LOAD
    while time.perf_counter() < until:
        for _ in range(AT_ONCE):
            torch.matmul(matrix, matrix, out=out)
        clock.wait()
