"""The state of the machine during a measurement, and whether it invalidates the times."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]

# NVML's bits for what limits the clocks (nvmlClocksEventReasons in its documentation).
REASONS = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clocks",
}
# A large matrix product takes a data-centre GPU to its power limit by design: the cap is recorded
# and allowed. These others mean that cooling or power supply are at fault.
INVALIDATING = {REASONS[bit] for bit in (0x8, 0x20, 0x40, 0x80)}
OTHERS_CPU = 0.10  # of all cores, beyond those that the trial does not use
OTHERS_GPU = 5  # per cent of utilisation before anything was started


def look(device: torch.device) -> State:
    """Return the state of the host, and of the GPU if the device is one, as JSON.

    What cannot be read is None. ``host`` contains counters since the machine was started; the
    difference of two states tells what happened in between.
    """
    busy, cores = _busy()
    host = {
        "clock_seconds": time.monotonic(),
        "busy_seconds": busy,
        "own_seconds": _own(),
        "cores": cores,
        "load_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "frequency_mhz": _frequency(),
    }
    return {"host": host, "gpu": _gpu(device) if device.type == "cuda" else None}


def problems(states: Mapping[str, State], *, threads: int) -> list[str]:
    """Return what invalidates the times taken between the states ``before`` and ``after``.

    There is a state ``first`` too, before anything was started, and one ``during`` the work where
    a device can be read meanwhile. Other processes may use the cores beyond the trial's threads.
    """
    found = []
    gpus = {moment: state["gpu"] for moment, state in states.items() if state["gpu"]}
    for moment, gpu in gpus.items():
        reasons = gpu["throttle_reasons"] or ()
        found += [f"throttled: {reason}" for reason in reasons if reason in INVALIDATING]
        if gpu["other_processes"]:
            found.append("another process on the GPU")
        if moment == "first" and (gpu["utilisation_percent"] or 0) > OTHERS_GPU:
            found.append(f"the GPU was {gpu['utilisation_percent']} % busy before the start")
    others = others_cores(states["before"]["host"], states["after"]["host"])
    cores = states["before"]["host"]["cores"]
    limit = max(0, cores - threads) + OTHERS_CPU * cores
    if others is not None and others > limit:
        took = f"other processes took {others:.2f} of {cores} cores"
        found.append(f"busy machine: {took} (at most {limit:.2f} are allowed)")
    return list(dict.fromkeys(found))


def others_cores(before: State, after: State) -> float | None:
    """Return how many cores other processes (or other virtual machines) took on average."""
    names = ("busy_seconds", "own_seconds", "clock_seconds")
    if any(state[name] is None for state in (before, after) for name in names):
        return None
    busy, own, elapsed = (after[name] - before[name] for name in names)
    return max(0.0, (busy - own) / elapsed) if elapsed > 0 else None


def _busy(stat: Path = Path("/proc/stat")) -> tuple[float | None, int]:
    """Return the seconds that all cores were busy or taken away, and how many there are."""
    try:
        lines = stat.read_text().splitlines()
    except OSError:  # not Linux
        return None, os.cpu_count() or 1
    cores = sum(line[:3] == "cpu" and line[3:4].isdigit() for line in lines)
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, lines[0].split()[1:9])
    ticks = user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK"), cores


def _own(proc: Path = Path("/proc")) -> float | None:
    """Return the processor seconds of this process group: loader processes are ours too."""
    if not (proc / "stat").is_file():
        return None
    group, ticks = os.getpgrp(), 0
    for path in proc.glob("[0-9]*/stat"):
        try:  # the name in parentheses may hold anything
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[2]) == group:
            ticks += sum(map(int, fields[11:15]))  # user and system time, its own and children's
    return ticks / os.sysconf("SC_CLK_TCK")


def _frequency() -> float | None:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    values = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    return round(sum(values) / len(values), 1) if values else None


def _gpu(device: torch.device) -> State | None:
    """Ask NVML. What a driver does not tell, or a container hides, is None."""
    try:
        import pynvml as nvml
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    try:
        # By its UUID, since torch's and NVML's numbers may differ.
        uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
        for name in (f"GPU-{uuid}", f"MIG-{uuid}"):
            with contextlib.suppress(nvml.NVMLError):
                return _read_gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(name))
        return None
    finally:
        nvml.nvmlShutdown()


def _read_gpu(nvml: Any, handle: Any) -> State:
    def ask(name: str, *arguments: Any) -> Any:
        try:
            return getattr(nvml, name)(handle, *arguments)
        except (AttributeError, nvml.NVMLError):
            return None

    bits = ask("nvmlDeviceGetCurrentClocksEventReasons")
    if bits is None:  # the name that older drivers know
        bits = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    running = ask("nvmlDeviceGetComputeRunningProcesses")
    power, limit = ask("nvmlDeviceGetPowerUsage"), ask("nvmlDeviceGetEnforcedPowerLimit")
    reasons = None if bits is None else [name for bit, name in REASONS.items() if bits & bit]
    others = None if running is None else other_processes([process.pid for process in running])
    return {
        "sm_clock_mhz": ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_SM),
        "sm_clock_most_mhz": ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM),
        "memory_clock_mhz": ask("nvmlDeviceGetClockInfo", nvml.NVML_CLOCK_MEM),
        "temperature_c": ask("nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU),
        "power_w": None if power is None else power / 1e3,
        "power_limit_w": None if limit is None else limit / 1e3,
        "throttle_reasons": reasons,
        "utilisation_percent": getattr(ask("nvmlDeviceGetUtilizationRates"), "gpu", None),
        "other_processes": others,
    }


def other_processes(pids: list[int]) -> int:
    """Count processes that are not ours, given those that use the device; we are one of them.

    In a container the driver may give process ids of the host. Then none of those listed is
    known to be ours, and one of them is this process under another number.
    """
    others = {pid for pid in pids if _group(pid) != os.getpgrp()}
    return max(0, len(others) - (len(others) == len(set(pids))))


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:  # no such process here
        return None
