"""What this process may use of its machine: cores and memory, which a container may limit."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WORKER_MEMORY = 2 * 2**30  # bytes that a worker process takes with a small network
UNLIMITED = 1 << 60  # bytes; version 1 of control groups writes "no limit" as a number near 2⁶³

_PROC, _CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Cores:
    """How many cores there are, and what may limit this process to fewer."""

    there: int
    allowed: int | None  # by the affinity of this process
    quota: float | None  # by the quota of a control group: processor seconds a second

    @property
    def usable(self) -> int:
        """How many threads can compute at once; a share of a core counts as one."""
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


@dataclass(frozen=True)
class Memory:
    """Bytes of main memory; None for what the system does not tell or a group does not limit."""

    there: int | None
    available: int | None  # without swapping
    left: int | None  # by the limits of control groups

    @property
    def free(self) -> int | None:
        """What this process can have; None where nothing tells."""
        return min((n for n in (self.available, self.left) if n is not None), default=None)


def workers_that_fit(threads: int) -> int:
    """Return how many worker processes of ``threads`` threads each fit on this machine."""
    fitting = usable_cores() // threads
    memory = find_memory().free
    if memory is not None:
        fitting = min(fitting, memory // WORKER_MEMORY)
    return max(1, fitting)


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return find_cores().usable


def find_cores(proc: Path = _PROC, cgroup: Path = _CGROUP) -> Cores:
    """Return the cores of this machine, and those that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    return Cores(os.cpu_count() or 1, len(affinity(0)) if affinity else None, quota(proc, cgroup))


def find_memory(proc: Path = _PROC, cgroup: Path = _CGROUP) -> Memory:
    """Return the memory of this machine, and what this process may have of it."""
    found = {}
    for name, _, rest in (line.partition(":") for line in _lines(proc / "meminfo")):
        with contextlib.suppress(ValueError, IndexError):
            found[name] = int(rest.split()[0]) * 1024
    return Memory(found.get("MemTotal"), found.get("MemAvailable"), memory_left(proc, cgroup))


def quota(proc: Path = _PROC, cgroup: Path = _CGROUP) -> float | None:
    """Return the least quota of the control groups around this process, in cores; None: none."""
    found = []
    for folder in _groups("cpu", proc, cgroup):
        words = _words(folder / "cpu.max")  # version 2: "200000 100000" or "max 100000"
        if not words:  # version 1; −1 is no quota
            words = [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        if len(words) == 2 and all(map(str.isdecimal, words)) and int(words[1]) > 0:
            found.append(int(words[0]) / int(words[1]))
    return min(found, default=None)


def memory_left(proc: Path = _PROC, cgroup: Path = _CGROUP) -> int | None:
    """Return the bytes that the control groups around this process leave to it; None: no limit."""
    names = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
    found = []
    for folder in _groups("memory", proc, cgroup):
        for limit, usage in names:
            words = [*_words(folder / limit), *_words(folder / usage)]
            if len(words) == 2 and all(map(str.isdecimal, words)) and int(words[0]) < UNLIMITED:
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
