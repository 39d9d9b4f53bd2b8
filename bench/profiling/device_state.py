"""The state of the machine during a measurement, and whether it invalidates the times."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.machine.nvml import REASONS, Gpu

State = dict[str, Any]

# A large matrix product takes a data-centre GPU to its power limit by design: the cap is recorded
# and allowed. These others mean that cooling or power supply are at fault.
INVALIDATING = {REASONS[bit] for bit in (0x8, 0x20, 0x40, 0x80)}
OTHERS_CPU = 0.10  # of all cores, beyond those that the trial does not use
OTHERS_GPU = 5  # per cent of utilisation before anything was started
FORGOTTEN = 2.0  # seconds after which NVML no longer counts what ran before
AGAIN = 0.25  # seconds until a GPU is looked at again


def look(gpu: Gpu | None) -> State:
    """Return the state of the host, and of a GPU that NVML has opened, as JSON.

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
    return {"host": host, "gpu": None if gpu is None else _of_gpu(gpu)}


def first_look(gpu: Gpu | None, sleep: Callable[[float], None] = time.sleep) -> State:
    """Return the state before anything is started, when what ran before has left no trace.

    NVML's utilisation is an average over up to a second, and a process that has ended may still be
    listed. So a GPU that looks busy is looked at again, for longer than that.
    """
    state = look(gpu)
    for _ in range(round(FORGOTTEN / AGAIN)):
        if not state["gpu"] or not any(busy_before({"first": state})):
            break
        sleep(AGAIN)
        state = look(gpu)
    return state


def throttled(states: Mapping[str, State]) -> Iterator[str]:
    """Yield what slowed the GPU down before, during or after measuring, unless by design."""
    for state in states.values():
        gpu = state["gpu"] or {}
        for reason in gpu.get("throttle_reasons") or ():
            if reason in INVALIDATING:
                yield f"throttled: {reason}"
        for reason, seconds in (gpu.get("limited_seconds") or {}).items():
            if seconds and reason in INVALIDATING:
                yield f"throttled: {reason}"


def busy_before(states: Mapping[str, State]) -> Iterator[str]:
    """Yield what else uses the GPU, by its processes and by what it did before the start."""
    for moment, state in states.items():
        gpu = state["gpu"] or {}
        if gpu.get("other_processes"):
            yield "another process on the GPU"
        if moment == "first" and (gpu.get("utilisation_percent") or 0) > OTHERS_GPU:
            yield f"the GPU was {gpu['utilisation_percent']} % busy before the start"


def busy_meanwhile(states: Mapping[str, State], *, threads: int) -> Iterator[str]:
    """Yield that other processes used the trial's cores between ``before`` and ``after``.

    They may use those beyond the trial's threads.
    """
    before, after = states["before"]["host"], states["after"]["host"]
    others, cores = others_cores(before, after), before["cores"]
    limit = max(0, cores - threads) + OTHERS_CPU * cores
    if others is not None and others > limit:
        took = f"other processes took {others:.2f} of {cores} cores"
        yield f"busy machine: {took} (at most {limit:.2f} are allowed)"


def problems(
    states: Mapping[str, State], *, threads: int, accept_busy: bool = False
) -> tuple[list[str], list[str]]:
    """Return what invalidates the times taken between two states, and what was accepted.

    ``states`` are ``first`` (before anything was started), ``before``, ``after``, and ``during``
    where a device was read meanwhile. With ``accept_busy``, what others did is accepted; that a GPU
    was throttled is not.
    """
    slowed = list(dict.fromkeys(throttled(states)))
    others = [*busy_before(states), *busy_meanwhile(states, threads=threads)]
    others = list(dict.fromkeys(others))
    return (slowed, others) if accept_busy else (slowed + others, [])


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


def _of_gpu(gpu: Gpu) -> State:
    processes = gpu.processes()
    return {
        **gpu.reading(),
        "sm_clock_most_mhz": gpu.most_sm_clock_mhz(),
        "power_limit_w": gpu.power_limit_w(),
        "utilisation_percent": gpu.utilisation_percent(),
        "other_processes": None if processes is None else other_processes(processes),
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
