"""What spoils a measurement, from made-up looks at a machine and a made-up NVML."""

import os
import sys
import types

import pytest

from bench.machine import nvml
from bench.profiling import device_state
from tests.bench import fake_nvml

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
    found, _ = device_state.problems(states(other=other, cores=cores), threads=threads)
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
        ({"during": {"limited_seconds": {"power cap": 3.0}}}, None),
        ({"during": {"limited_seconds": {"hardware thermal slowdown": 0.1}}}, "throttled: hardw"),
        ({"during": {"limited_seconds": {"hardware thermal slowdown": None}}}, None),
        ({"first": gpu(utilisation=60)}, "the GPU was 60 % busy before the start"),
        ({"during": gpu("power cap", utilisation=100), "first": gpu("idle")}, None),
        ({"during": dict.fromkeys(gpu())}, None),  # a driver that tells nothing
    ],
)
def test_a_throttled_or_shared_gpu_spoils_it(looks, said):
    found, _ = device_state.problems(states(gpu=looks), threads=2)
    assert len(found) == (said is not None)
    if said is not None:
        assert said in found[0]


def test_a_host_that_tells_nothing_spoils_nothing():
    dumb = states(other=2.0)
    dumb["after"]["host"]["busy_seconds"] = None
    assert device_state.problems(dumb, threads=2) == ([], [])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_the_kernels_counters_are_read():
    first = device_state.look(None)
    ours = 0
    while ours < 0.05:  # burn at least five ticks of this process's time
        ours = device_state._own() - first["host"]["own_seconds"]
    second = device_state.look(None)
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


@pytest.fixture
def opened(monkeypatch):
    """A GPU, opened by a made-up NVML."""

    def made(**changes):
        found = fake_nvml.install(monkeypatch, **changes)
        return nvml.Gpu(found, "handle")

    return made


def test_what_is_stored_of_a_gpu(opened):
    assert device_state.look(opened())["gpu"] == {
        "sm_clock_mhz": 1755,
        "sm_clock_most_mhz": 1980,
        "memory_clock_mhz": 2619,
        "temperature_c": 55,
        "power_w": 312.5,
        "power_limit_w": 700.0,
        "throttle_reasons": ["power cap", "software thermal slowdown"],
        "utilisation_percent": 3,
        "other_processes": 1,
    }


def test_what_the_last_trial_left_behind_is_no_stranger(opened):
    """NVML's utilisation is an average over a second, and lists a process a little longer."""
    waited = []

    def utilisation(handle):
        return types.SimpleNamespace(gpu=max(0, 90 - round(80 * sum(waited))))

    def processes(handle):
        stranger = [fake_nvml.STRANGER] if sum(waited) < 0.4 else []
        return fake_nvml.processes(os.getpid(), *stranger)

    fading = opened(
        nvmlDeviceGetUtilizationRates=utilisation, nvmlDeviceGetComputeRunningProcesses=processes
    )
    first = device_state.first_look(fading, waited.append)
    assert not list(device_state.busy_before({"first": first}))
    assert 1.0 <= sum(waited) <= 1.5
    waited.clear()
    lasting = opened(nvmlDeviceGetUtilizationRates=lambda handle: types.SimpleNamespace(gpu=12))
    first = device_state.first_look(lasting, waited.append)
    assert sum(waited) == pytest.approx(device_state.FORGOTTEN)
    found = list(device_state.busy_before({"first": first}))
    assert found == ["another process on the GPU", "the GPU was 12 % busy before the start"]


def test_a_quiet_gpu_or_none_is_not_waited_for(opened):
    def never(seconds):
        raise AssertionError

    alone = opened(nvmlDeviceGetComputeRunningProcesses=lambda h: fake_nvml.processes(os.getpid()))
    assert device_state.first_look(alone, never)["gpu"]["utilisation_percent"] == 3
    dumb = opened(nvmlDeviceGetUtilizationRates=None, nvmlDeviceGetComputeRunningProcesses=None)
    assert device_state.first_look(dumb, never)["gpu"]["utilisation_percent"] is None
    assert device_state.first_look(None, never)["gpu"] is None


def test_a_busy_machine_can_be_accepted_and_a_throttled_gpu_cannot():
    looks = {"first": gpu(utilisation=60), "after": gpu("hardware power brake", others=1)}
    found = states(other=2.0, gpu=looks)
    strict, _ = device_state.problems(found, threads=2)
    reasons, accepted = device_state.problems(found, threads=2, accept_busy=True)
    assert reasons == ["throttled: hardware power brake"]
    assert sorted(reasons + accepted) == sorted(strict)
    assert len(accepted) == 3


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
