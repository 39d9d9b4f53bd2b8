"""The processor: threads that help, that do not wait by spinning, and that nobody disturbs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from bench.doctor.finding import Finding, Machine, off, ok, skipped
from bench.profiling import device_state, timing
from bench.profiling.clocks import Clock

# They bind the threads of every process to the same cores, so that processes wait for each other.
BINDING = {"OMP_PROC_BIND": ("", "false"), "GOMP_CPU_AFFINITY": ("",), "KMP_AFFINITY": ("", "none")}
PATIENT = 1_000_000  # rounds of spinning; far more than it takes to hand over work
LEAST_GAIN = 0.6  # of the threads, by which a product of matrices is to be faster
SLOW_THREADS = (
    "see above which cores can be used and what other processes take; if that is well, two threads "
    "share one physical core: set train.threads to the number of physical cores"
)
SIDE = 1024  # of these matrices
LOOK = 1.0  # seconds


def others(machine: Machine, sleep: Callable[[float], None] = time.sleep) -> Finding:
    """Look whether other processes leave the cores alone that a trial computes with."""
    before = device_state.look(None)
    sleep(LOOK)
    states = {"before": before, "after": device_state.look(None)}
    taken = device_state.others_cores(states["before"]["host"], states["after"]["host"])
    if taken is None:
        return skipped("this system does not tell what other processes take")
    found = [*device_state.busy_meanwhile(states, threads=machine.threads)]
    if found:
        mend = "end them, or wait: times that are taken meanwhile are stored as invalid"
        return off("; ".join(found), mend, cores=taken)
    return ok(f"other processes took {taken:.2f} cores for a second", cores=taken)


def bound(machine: Machine, environ: Mapping[str, str] = os.environ) -> Finding:
    """Look for variables that bind threads to cores."""
    found = [
        f"{name}={environ[name]}"
        for name, harmless in BINDING.items()
        if name in environ and environ[name].lower() not in harmless
    ]
    if found:
        names = " and ".join(text.partition("=")[0] for text in found)
        text = f"{' and '.join(found)} may bind the threads of all --jobs to the same cores"
        return off(text, f"unset {names}")
    return ok("no variable binds threads to cores")


def spinning(
    machine: Machine,
    environ: Mapping[str, str] = os.environ,
    maps: Path = Path("/proc/self/maps"),
) -> Finding:
    """Look whether threads that wait take a core away from threads that work."""
    policy, count = environ.get("OMP_WAIT_POLICY", ""), environ.get("GOMP_SPINCOUNT", "")
    numbers = {"OMP_WAIT_POLICY": policy or None, "GOMP_SPINCOUNT": count or None}
    if policy.lower() == "passive":
        text = "OMP_WAIT_POLICY=passive lets threads sleep after every operation"
        return off(text, "unset it: small networks take up to twice as long", **numbers)
    if policy.lower() == "active":
        return off(
            "OMP_WAIT_POLICY=active lets waiting threads occupy a core", "unset it", **numbers
        )
    if count and not (count.isdecimal() and int(count) <= PATIENT):
        text = f"GOMP_SPINCOUNT={count} lets waiting threads occupy a core for long"
        return off(text, "unset it; this program then sets 20000", **numbers)
    try:
        loaded = maps.read_text()
    except OSError:
        return skipped("this system does not tell which OpenMP torch uses", **numbers)
    blocking = environ.get("KMP_BLOCKTIME")
    if ("libiomp5" in loaded or "libomp.so" in loaded) and blocking is None:
        text = "torch uses Intel's or LLVM's OpenMP, whose threads wait by spinning for 200 ms"
        return off(text, "set KMP_BLOCKTIME=1 where several processes share the cores", **numbers)
    return ok("threads that wait give up their core soon", **numbers)


def threads(machine: Machine, measure: Callable[[int], float] | None = None) -> Finding:
    """Compare a product of matrices with one thread, and with as many as a trial has."""
    many = machine.threads
    if many == 1:
        return ok("a trial computes with one thread")
    one, several = (measure or _product)(1), (measure or _product)(many)
    gain, numbers = one / several, {"one_thread_ms": one, "threads_ms": several}
    text = f"{many} threads multiply matrices {gain:.2f} × as fast as one"
    if gain < LEAST_GAIN * many:
        limits = [name for name in ("OMP_THREAD_LIMIT", "OMP_DYNAMIC") if name in os.environ]
        mend = f"unset {' and '.join(limits)}" if limits else SLOW_THREADS
        return off(text, mend, **numbers)
    return ok(text, **numbers)


def _product(threads: int) -> float:
    """Return the milliseconds of the fastest of some products of matrices."""
    before = torch.get_num_threads()
    left, right = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    work = partial(torch.mm, left, right)
    torch.set_num_threads(threads)
    try:
        timing.measure(work, Clock(), calls=1, windows=2)
        return min(timing.measure(work, Clock(), calls=3, windows=5))
    finally:
        torch.set_num_threads(before)
