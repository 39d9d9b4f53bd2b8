"""What is asked of NVML: each answer may be missing, and nothing else is then."""

import os
import sys

import pytest
import torch

from bench.machine import nvml
from tests.bench import fake_nvml
from tests.bench.fake_nvml import STRANGER, NVMLError, field

CUDA = torch.device("cuda")
ALL = {
    "sm_clock_mhz": 1755,
    "memory_clock_mhz": 2619,
    "temperature_c": 55,
    "power_w": 312.5,
    "throttle_reasons": ["power cap", "software thermal slowdown"],
    "most": 1980,
    "limit": 700.0,
    "utilisation": 3,
    "processes": [os.getpid(), STRANGER],
    "joules": 9000.0,
    "driver": "580.65.06",
}
MISSING = {
    "nvmlDeviceGetClockInfo": {"sm_clock_mhz", "memory_clock_mhz"},
    "nvmlDeviceGetTemperature": {"temperature_c"},
    "nvmlDeviceGetPowerUsage": {"power_w"},
    "nvmlDeviceGetCurrentClocksEventReasons": set(),  # of which there is an older name
    "nvmlDeviceGetMaxClockInfo": {"most"},
    "nvmlDeviceGetEnforcedPowerLimit": {"limit"},
    "nvmlDeviceGetUtilizationRates": {"utilisation"},
    "nvmlDeviceGetComputeRunningProcesses": {"processes"},
    "nvmlDeviceGetTotalEnergyConsumption": {"joules"},
    "nvmlSystemGetDriverVersion": {"driver"},
    "NVML_CLOCK_SM": {"sm_clock_mhz", "most"},
    "NVML_CLOCK_MEM": {"memory_clock_mhz"},
    "NVML_TEMPERATURE_GPU": {"temperature_c"},
}


def told():
    with nvml.opened(CUDA) as gpu:
        return {
            **gpu.reading(),
            "most": gpu.most_sm_clock_mhz(),
            "limit": gpu.power_limit_w(),
            "utilisation": gpu.utilisation_percent(),
            "processes": gpu.processes(),
            "joules": gpu.joules(),
            "driver": gpu.driver(),
        }


def test_what_nvml_tells(monkeypatch):
    fake_nvml.install(monkeypatch)
    assert told() == ALL


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_none_and_the_rest_is_there(name, monkeypatch):
    expected = {**ALL, **dict.fromkeys(MISSING[name])}
    fake_nvml.install(monkeypatch, **{name: None})  # an older pynvml lacks it
    assert told() == expected
    if name.startswith("nvml"):
        fake_nvml.install(monkeypatch, **{name: fake_nvml.refuse})  # or the driver
        assert told() == expected


def test_a_gpu_that_tells_nothing_of_its_clocks_reasons(monkeypatch):
    names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
    fake_nvml.install(monkeypatch, **dict.fromkeys(names))
    assert told()["throttle_reasons"] is None


def limited(before, after):
    """Return for how long clocks were limited, of two sets of counters by number."""
    with nvml.opened(CUDA) as gpu:
        found = []
        for counters in (before, after):
            gpu.nvml.nvmlDeviceGetFieldValues = lambda handle, numbers, of=counters: [
                of.get(number, field(0, status=3)) for number in numbers
            ]
            found.append(gpu.counters())
    return nvml.limited_seconds(*found)


@pytest.mark.parametrize("numbers", [(251, 252, 253), (269, 270, 271)])
def test_counters_are_found_under_the_numbers_of_either_release(numbers, monkeypatch):
    fake_nvml.install(monkeypatch)
    others = {251, 252, 253, 269, 270, 271} - set(numbers)
    settings = {number: field(1, kind=1) for number in others}  # what does not change
    before = {number: field(10**9) for number in (74, *numbers)} | settings
    after = {number: field(10**9 + number * 10**7) for number in (74, *numbers)} | settings
    thermal, hardware, brake = numbers
    assert limited(before, after) == {
        "power cap": pytest.approx(0.74),
        "sync boost": None,
        "software thermal slowdown": pytest.approx(thermal / 100),
        "hardware thermal slowdown": pytest.approx(hardware / 100),
        "hardware power brake": pytest.approx(brake / 100),
    }


@pytest.mark.parametrize("kind", range(7))
def test_a_counter_of_any_type_is_read(kind, monkeypatch):
    fake_nvml.install(monkeypatch)
    found = limited({74: field(1000, kind)}, {74: field(4000, kind)})
    assert found["power cap"] == pytest.approx(3e-6)
    assert limited({74: field(1000, kind)}, {})["power cap"] is None


def test_a_driver_without_counters_tells_none_of_them(monkeypatch):
    fake_nvml.install(monkeypatch, nvmlDeviceGetFieldValues=fake_nvml.refuse)
    with nvml.opened(CUDA) as gpu:
        assert nvml.limited_seconds(gpu.counters(), gpu.counters()) == dict.fromkeys(nvml.EVENTS)


def test_a_missing_driver_is_no_failure(monkeypatch):
    def opened(**changes):
        fake_nvml.install(monkeypatch, **changes)
        with nvml.opened(CUDA) as gpu:
            return gpu

    def no_device(device):
        raise RuntimeError("the runtime has no such device")

    assert opened(nvmlInit=fake_nvml.refuse) is None
    assert opened(nvmlDeviceGetHandleByUUID=fake_nvml.refuse) is None
    assert opened(nvmlShutdown=fake_nvml.refuse) is not None
    monkeypatch.setattr(torch.cuda, "get_device_properties", no_device)
    with nvml.opened(CUDA) as gpu:
        assert gpu is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as if it were not installed
    with nvml.opened(CUDA) as gpu:
        assert gpu is None


def test_nvml_is_ended_however_a_block_ends(monkeypatch):
    ended = []
    fake_nvml.install(monkeypatch, nvmlShutdown=lambda: ended.append(True))
    with pytest.raises(NVMLError), nvml.opened(CUDA):
        fake_nvml.refuse()
    assert ended == [True]


def test_another_device_than_a_gpu_of_nvidia_has_none(monkeypatch):
    fake_nvml.install(monkeypatch)
    for kind in ("cpu", "mps"):
        with nvml.opened(torch.device(kind)) as gpu:
            assert gpu is None
