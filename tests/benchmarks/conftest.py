"""Races: ours and each peer by turns in one process, so that a busy moment hits all alike."""

import ctypes
import platform
import re
import statistics
import time
from pathlib import Path

import pytest
import torch

from bench.machine import environment

THREADS = 2  # of torch, in every race


@pytest.fixture
def race(benchmark):
    """Return a function that runs contestants by turns and keeps the time of every turn.

    ``race({"ours": f, "peer": g}, rounds=…)`` calls every contestant once a round, the first
    one timed by pytest-benchmark, the others just before it; ``inner`` calls make one turn,
    where one would be too short for the clock. What it returns, and stores as ``extra_info``,
    is contestant → median seconds of a call.
    """

    def run(contestants, *, rounds=15, inner=1, **info):
        torch.set_num_threads(THREADS)
        ours, *peers = contestants
        times = {name: [] for name in contestants}

        def turn(name):
            started = time.perf_counter()
            for _ in range(inner):
                contestants[name]()
            times[name].append((time.perf_counter() - started) / inner)

        for name in contestants:  # the first call may compile, allocate or import
            contestants[name]()

        def the_others():
            for name in peers:
                turn(name)

        benchmark.pedantic(turn, args=(ours,), setup=the_others, rounds=rounds)
        medians = {name: statistics.median(values) for name, values in times.items()}
        benchmark.extra_info.update(seconds=medians, inner=inner, **info)
        return medians

    return run


@pytest.fixture
def peak_bytes():
    """Return a function: by how much the process grows, at most, while ``call()`` runs.

    The kernel keeps the highest number of resident pages; writing 5 to ``clear_refs`` sets it
    back to what is resident now. Tensors of megabytes come from the system one by one and go
    back there at once. Linux only.
    """

    def measure(call):
        call()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        call()
        return _status("VmHWM") - before

    return measure


def _status(name):
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024


def pytest_benchmark_update_json(config, benchmarks, output_json):
    """Keep what others can use: times, versions and the processor; no names of this machine."""
    described = environment.describe(torch.device("cpu"), threads=THREADS)
    kept = ("python", "cpu", "cores", "threads", "torch", *environment.PACKAGES)
    output_json["machine_info"] = {name: described[name] for name in kept if name in described}
    output_json["machine_info"]["system"] = platform.system()
    for name in ("commit_info", "version"):
        output_json.pop(name, None)
    output_json["benchmarks"] = [
        {"name": one["name"], "rounds": one["stats"]["rounds"], **one["extra_info"]}
        for one in output_json["benchmarks"]
    ]
