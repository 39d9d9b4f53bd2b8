"""What spoils a measurement, from made-up looks at a machine and a made-up NVML."""

import os
import sys
import types

import pytest
import torch

from bench.profiling import device_state

HOST = {"cores": 2, "load_1min": 0.1, "frequency_mhz": None}


def host(clock, busy, own, **changes):
    return {**HOST, "clock_seconds": clock, "busy_seconds": busy, "own_seconds": own, **changes}


def states(*, other=0.0, gpu=None, cores=2, seconds=10.0):
    """Looks around ``seconds`` in which this process took 2 cores, and others ``other``."""
    after = host(100 + seconds, 50 + (2 + other) * seconds, 7 + 2 * seconds, cores=cores)
    moments = {"first": None, "before": None, "after": None, **(gpu or {})}
    found = {
        moment: {"host": host(100, 50, 7, cores=cores), "gpu": state}
        for moment, state in moments.items()
    }
    found["after"]["host"] = after
    return found


def gpu(*reasons, others=0, utilisation=0):
    return {
        "throttle_reasons": list(reasons),
        "other_processes": others,
        "utilisation_percent": utilisation,
    }


@pytest.mark.parametrize(
    ("other", "cores", "threads", "spoilt"),
    [
        (0.0, 2, 2, False),
        (0.9 * 2 * device_state.OTHERS_CPU, 2, 2, False),
        (1.1 * 2 * device_state.OTHERS_CPU, 2, 2, True),
        (0.9, 2, 1, False),  # one core is free for others
        (1.5, 2, 1, True),
        (9.0, 16, 4, False),
        (14.0, 16, 4, True),
    ],
)
def test_others_may_take_the_cores_that_are_free(other, cores, threads, spoilt):
    found = device_state.problems(states(other=other, cores=cores), threads=threads)
    assert bool(found) == spoilt
    if spoilt:
        assert f"other processes took {other:.2f} of {cores} cores" in found[0]


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        ({"during": gpu("hardware thermal slowdown")}, "throttled: hardware thermal slowdown"),
        ({"before": gpu("power cap", "software thermal slowdown")}, "throttled: software thermal"),
        ({"after": gpu("hardware power brake")}, "throttled: hardware power brake"),
        ({"first": gpu(others=1)}, "another process on the GPU"),
        ({"during": gpu(others=2), "after": gpu(others=2)}, "another process on the GPU"),
        ({"first": gpu(utilisation=60)}, "the GPU was 60 % busy before the start"),
        ({"during": gpu("power cap", utilisation=100), "first": gpu("idle")}, None),
        ({"during": dict.fromkeys(gpu())}, None),  # a driver that tells nothing
    ],
)
def test_a_throttled_or_shared_gpu_spoils_it(looks, said):
    found = device_state.problems(states(gpu=looks), threads=2)
    assert len(found) == (said is not None)
    if said is not None:
        assert said in found[0]


def test_a_host_that_tells_nothing_spoils_nothing():
    dumb = states(other=2.0)
    dumb["after"]["host"]["busy_seconds"] = None
    assert device_state.problems(dumb, threads=2) == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_the_kernels_counters_are_read():
    first = device_state.look(torch.device("cpu"))
    ours = 0
    while ours < 0.05:  # burn at least five ticks of this process's time
        ours = device_state._own() - first["host"]["own_seconds"]
    second = device_state.look(torch.device("cpu"))
    assert first["gpu"] is None
    assert 1 <= first["host"]["cores"] <= 4096
    passed = second["host"]["clock_seconds"] - first["host"]["clock_seconds"]
    worked = second["host"]["busy_seconds"] - first["host"]["busy_seconds"]
    assert 0.03 <= worked <= passed * first["host"]["cores"] + 0.1
    assert device_state.others_cores(first["host"], second["host"]) >= 0


def test_the_first_line_of_proc_stat(tmp_path):
    (tmp_path / "stat").write_text("cpu  100 20 30 4000 500 6 7 8 90 0\ncpu0 1\ncpu1 1\nintr 9\n")
    tick = os.sysconf("SC_CLK_TCK")
    # user, nice, system, irq, softirq and steal; guests are part of user time already
    assert device_state._busy(tmp_path / "stat") == ((100 + 20 + 30 + 6 + 7 + 8) / tick, 2)
    assert device_state._busy(tmp_path / "none")[0] is None


class NVMLError(Exception):
    pass


def nvml(**changes):
    """A module like pynvml, whose device has no power sensor."""

    def refuse(*arguments):
        raise NVMLError("not supported")

    module = types.SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0x4 | 0x20,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [
            types.SimpleNamespace(pid=pid) for pid in (os.getpid(), 2**30)
        ],
        nvmlDeviceGetPowerUsage=refuse,
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: 700_000,
        nvmlDeviceGetUtilizationRates=lambda handle: types.SimpleNamespace(gpu=3),
        nvmlDeviceGetClockInfo=lambda handle, kind: {1: 1980, 2: 2619}[kind],
        nvmlDeviceGetMaxClockInfo=lambda handle, kind: 1980,
        nvmlDeviceGetTemperature=lambda handle, sensor: 55,
    )
    vars(module).update(changes)
    return module


@pytest.fixture
def look_at_gpu(monkeypatch):
    def look(**changes):
        monkeypatch.setitem(sys.modules, "pynvml", nvml(**changes))
        properties = types.SimpleNamespace(uuid="1234")
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
        return device_state._gpu(torch.device("cuda"))

    return look


def test_what_nvml_tells(look_at_gpu):
    assert look_at_gpu() == {
        "sm_clock_mhz": 1980,
        "sm_clock_most_mhz": 1980,
        "memory_clock_mhz": 2619,
        "temperature_c": 55,
        "power_w": None,
        "power_limit_w": 700.0,
        "throttle_reasons": ["power cap", "software thermal slowdown"],
        "utilisation_percent": 3,
        "other_processes": 1,
    }


def test_a_missing_driver_is_no_failure(look_at_gpu, monkeypatch):
    def no_driver():
        raise NVMLError("no driver")

    def no_handle(uuid):
        raise NVMLError("not found")

    assert look_at_gpu(nvmlInit=no_driver) is None
    assert look_at_gpu(nvmlDeviceGetHandleByUUID=no_handle) is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as if it were not installed
    assert device_state._gpu(torch.device("cuda")) is None


@pytest.mark.parametrize(
    ("pids", "count"),
    [
        ([], 0),
        ([os.getpid()], 0),
        ([os.getpid(), 2**30], 1),
        ([2**30], 0),  # this process, under the number that it has outside of a container
        ([2**30, 2**30 + 1], 1),
    ],
)
def test_other_processes_are_counted_without_this_process(pids, count):
    assert device_state.other_processes(pids) == count
