"""What this process may use of its machine: cores and memory, which a container may limit."""

from __future__ import annotations

import os
from pathlib import Path

WORKER_MEMORY = 2 * 2**30  # bytes that a worker process takes with a small network

_CGROUP = Path("/sys/fs/cgroup")
_MEMORY = Path("/proc/meminfo")


def workers_that_fit(threads: int) -> int:
    """Return how many worker processes of ``threads`` threads each this machine has room for."""
    room = usable_cores() // threads
    memory = free_memory()
    if memory is not None:
        room = min(room, memory // WORKER_MEMORY)
    return max(1, room)


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Return how many cores this process may use; a share of a core counts as one."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _quota(cgroup)
    return cores if quota is None else max(1, min(cores, int(quota)))


def _quota(cgroup: Path) -> float | None:
    """Return the cores that a container's quota allows; None where there is no quota."""
    try:
        if (limit := cgroup / "cpu.max").exists():  # version 2: quota and period
            quota, period = limit.read_text().split()
        else:  # version 1
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text()
        return None if quota == "max" or int(quota) < 0 else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # not a container, or not Linux
        return None


def free_memory(cgroup: Path = _CGROUP, meminfo: Path = _MEMORY) -> int | None:
    """Return the bytes of memory that are free for this process; None where nothing tells."""
    free = []
    try:
        lines = (line.split() for line in meminfo.read_text().splitlines())
        free += [int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:"]
    except (OSError, ValueError, IndexError):
        pass
    try:
        used = int((cgroup / "memory.current").read_text())
        free.append(int((cgroup / "memory.max").read_text()) - used)
    except (OSError, ValueError):  # no limit: "max"
        pass
    return max(0, min(free)) if free else None
