"""A GPU that is watched while it works: what a thread samples, and what counters add up."""

import itertools
import threading

import pytest

from bench.machine.nvml import Gpu
from bench.profiling import sampling
from tests.bench import fake_nvml


def watched(samples=3, seconds=4.0, **changes):
    """Watch a made-up GPU until it was sampled a number of times."""
    module = fake_nvml.module(**changes)
    gpu, enough, taken = Gpu(module, "handle"), threading.Event(), itertools.count(1)
    reading = gpu.reading

    def read():
        found = reading()
        if next(taken) >= samples:
            enough.set()
        return found

    gpu.reading = read
    times = iter([100.0, 100.0 + seconds])
    with sampling.watching(gpu, period=1e-4, now=lambda: next(times)) as seen:
        assert enough.wait(10)
    return seen.state()


def test_what_a_gpu_does_meanwhile():
    clocks, energy = itertools.chain([1200], itertools.repeat(1980)), iter([5_000_000, 7_800_000])
    reasons = itertools.chain([0x4], itertools.repeat(0x44))
    counted = itertools.count(10**9, 250_000_000)

    def fields(handle, numbers):
        now = next(counted)
        return [fake_nvml.field(now if number == 74 else 5) for number in numbers]

    found = watched(
        nvmlDeviceGetClockInfo=lambda handle, kind: next(clocks) if kind == 1 else 2619,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(energy),
        nvmlDeviceGetCurrentClocksEventReasons=lambda handle: next(reasons),
        nvmlDeviceGetFieldValues=fields,
    )
    assert found["samples"] >= 3
    assert (found["sm_clock_mhz"], found["sm_clock_lowest_mhz"]) == (1980, 1200)
    assert found["throttle_reasons"] == ["power cap", "hardware thermal slowdown"]
    assert found["power_w"] == pytest.approx(312.5)
    assert (found["joules"], found["seconds"]) == (pytest.approx(2800), pytest.approx(4.0))
    limited = {"power cap": 0.25, "hardware power brake": 0.0, "sync boost": 0.0}
    assert limited.items() <= found["limited_seconds"].items()


def test_a_driver_that_tells_nothing_leaves_everything_unknown():
    names = [name for name in vars(fake_nvml.module()) if name.startswith("nvmlDevice")]
    found = watched(**dict.fromkeys(names, fake_nvml.refuse))
    unknown = {name for name, value in found.items() if value is None}
    assert unknown == found.keys() - {"samples", "seconds", "limited_seconds"}
    assert set(found["limited_seconds"].values()) == {None}


def test_work_that_fails_ends_the_thread():
    gpu = Gpu(fake_nvml.module(), "handle")
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError), sampling.watching(gpu, period=1e-4):
        1 / 0  # noqa: B018
    assert threading.active_count() == before


def test_without_a_gpu_nothing_is_started():
    before = threading.active_count()
    with sampling.watching(None) as seen:
        assert threading.active_count() == before
    assert (seen.samples, seen.joules) == ([], None)
