"""What limits this process on its machine: too few cores for its threads, or too little memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from bench.doctor.finding import Finding, Machine, off, ok, skipped
from bench.machine.limits import Cores, Memory, find_cores, find_memory

GIGABYTE = 1e9
LEAST_MEMORY = 2 * GIGABYTE  # importing torch and training a small network takes about half of it
LEAST_SHARED = 0.5 * GIGABYTE  # eight loader processes, two batches each of 16 × 512² × 4 bytes


def cores(machine: Machine, find: Callable[[], Cores] = find_cores) -> Finding:
    """Compare the cores that this process may use with the threads of a trial."""
    found = find()
    numbers = {"there": found.there, "allowed": found.allowed, "quota": found.quota}
    numbers["usable"] = found.usable
    text = f"{found.usable} of {found.there} cores can be used"
    if found.limit:
        text += f" ({found.limit})"
    if machine.threads > found.usable:
        mend = f"set train.threads: {found.usable}, or give this process more cores"
        return off(f"{text}, and a trial computes with {machine.threads} threads", mend, **numbers)
    return ok(f"{text}; a trial computes with train.threads: {machine.threads}", **numbers)


def memory(machine: Machine, find: Callable[[], Memory] = find_memory) -> Finding:
    """Look for enough main memory that is free, in the machine and in its control group."""
    found = find()
    there, available, free = found.there, found.available, found.free
    if there is None or available is None or free is None:
        return skipped("this system does not tell how much memory is free")
    text = f"{available / GIGABYTE:.1f} of {there / GIGABYTE:.1f} GB of memory are free"
    if free < available:
        text += f", and the control group of this process leaves {free / GIGABYTE:.1f} GB of them"
    numbers = {"free_bytes": free, "total_bytes": there}
    if free < LEAST_MEMORY:
        return off(text, "end what takes it, or run fewer --jobs and --workers", **numbers)
    return ok(text, **numbers)


def shared_memory(machine: Machine, folder: Path = Path("/dev/shm")) -> Finding:
    """Look for free shared memory, through which loader processes hand over batches."""
    if not folder.is_dir():
        return skipped("this system has no /dev/shm")
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    text = f"{free / GIGABYTE:.2f} GB of shared memory are free for loader processes"
    if free < LEAST_SHARED:
        mend = "start the container with --shm-size=8g or --ipc=host, or run with --workers 0"
        return off(text, mend, free_bytes=free)
    return ok(text, free_bytes=free)
