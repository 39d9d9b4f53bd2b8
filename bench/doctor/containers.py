"""The part of a machine that this process may use: its cores and its memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.doctor.finding import Finding, Machine, off, ok, skipped

PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # bytes; version 1 writes "no limit" as a number near 2⁶³
GIGABYTE = 1e9
LEAST_MEMORY = 2 * GIGABYTE  # importing torch and training a small network takes about half of it
LEAST_SHARED = 0.5 * GIGABYTE  # eight loader processes, two batches each of 16 × 512² × 4 bytes


@dataclass(frozen=True)
class Cores:
    """How many cores there are, and what may limit this process to fewer."""

    there: int
    allowed: int | None  # by the affinity of this process
    quota: float | None  # by the quota of a control group: processor seconds a second

    @property
    def usable(self) -> int:
        """How many threads can compute at once."""
        quota = math.inf if self.quota is None else max(1, math.floor(self.quota + 0.01))
        return int(min(self.there, self.allowed or self.there, quota))

    @property
    def limit(self) -> str:
        """What limits them, in words."""
        found = []
        if self.allowed is not None and self.allowed < self.there:
            found.append(f"this process may run on {self.allowed}")
        if self.quota is not None and self.quota < self.there:
            found.append(f"its control group has a quota of {self.quota:g}")
        return " and ".join(found)


def find_cores(proc: Path = PROC, cgroup: Path = CGROUP) -> Cores:
    """Return the cores of this machine, and those that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return Cores(os.cpu_count() or 1, allowed, cpu_quota(proc, cgroup))


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


def memory(machine: Machine, proc: Path = PROC, cgroup: Path = CGROUP) -> Finding:
    """Look for enough main memory that is free, in the machine and in its control group."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
    except OSError:
        return skipped("this system does not tell how much memory is free")
    values = {
        name: int(rest.split()[0]) * 1024 for name, _, rest in (s.partition(":") for s in lines)
    }
    free, limit = values["MemAvailable"], memory_left(proc, cgroup)
    text = f"{free / GIGABYTE:.1f} of {values['MemTotal'] / GIGABYTE:.1f} GB of memory are free"
    if limit is not None and limit < free:
        text += f", and the control group of this process leaves {limit / GIGABYTE:.1f} GB of them"
        free = limit
    numbers = {"free_bytes": free, "total_bytes": values["MemTotal"]}
    if free < LEAST_MEMORY:
        return off(text, "end what takes it, or run fewer --jobs and --workers", **numbers)
    return ok(text, **numbers)


def shared_memory(machine: Machine, folder: Path = Path("/dev/shm")) -> Finding:
    """Look for room in the shared memory through which loader processes hand over batches."""
    if not folder.is_dir():
        return skipped("this system has no /dev/shm")
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    text = f"{free / GIGABYTE:.2f} GB of shared memory are free for loader processes"
    if free < LEAST_SHARED:
        mend = "start the container with --shm-size=8g or --ipc=host, or run with --workers 0"
        return off(text, mend, free_bytes=free)
    return ok(text, free_bytes=free)


def cpu_quota(proc: Path = PROC, cgroup: Path = CGROUP) -> float | None:
    """Return the least quota of the control groups around this process, in cores; None: none."""
    found = []
    for folder in _groups("cpu", proc, cgroup):
        words = _words(folder / "cpu.max")  # version 2: "200000 100000" or "max 100000"
        if not words:  # version 1; −1 is no quota
            words = [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        if len(words) == 2 and words[0].isdecimal() and int(words[1]) > 0:
            found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def memory_left(proc: Path = PROC, cgroup: Path = CGROUP) -> int | None:
    """Return the bytes that the control groups around this process leave to it; None: no limit."""
    names = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    found = []
    for folder in _groups("memory", proc, cgroup):
        for limit, usage in names:
            words = [*_words(folder / limit), *_words(folder / usage)]
            if len(words) == 2 and words[0].isdecimal() and int(words[0]) < UNLIMITED:
                cache = _reclaimable(folder / "memory.stat")
                found.append(max(0, int(words[0]) - int(words[1]) + cache))
    return min(found, default=None)


def _reclaimable(stat: Path) -> int:
    """Return the bytes of files that the kernel drops when memory is asked for."""
    rows = dict(line.split() for line in _lines(stat))
    return int(rows.get("total_inactive_file", rows.get("inactive_file", 0)))


def _groups(controller: str, proc: Path, cgroup: Path) -> Iterator[Path]:
    """Yield the folders of a controller's control groups: that of this process, then its parents.

    In a container the path may be the host's, which is not there; its top is always read.
    """
    for line in _lines(proc / "self" / "cgroup"):
        _, names, path = line.split(":", 2)
        if names == "":  # version 2
            tops = [cgroup, cgroup / "unified"]
        elif controller in names.split(","):
            tops = [cgroup / names, cgroup / controller]
        else:
            continue
        inside = Path(path.lstrip("/"))
        for top in dict.fromkeys(tops):
            yield from (top / part for part in (inside, *inside.parents))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()
