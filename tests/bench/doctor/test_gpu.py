"""What is said of a GPU, its driver, its state and its clocks, from a made-up one."""

import itertools
import types

import pytest
import torch

from bench.doctor import checks, clock, driver, gpu_state
from bench.doctor.apart import Outcome
from bench.doctor.checks import Check
from bench.doctor.finding import Machine, off, ok
from bench.machine import environment
from bench.profiling import clocks, device_state
from tests.bench import fake_nvml
from tests.bench.profiling.fake_clock import FakeClock, FakeCuda

CUDA = torch.device("cuda:0")
DRIVERS = {"device_name": "NVIDIA H100", "driver": "580.65", "cuda": "13.0", "cudnn": 91002}


@pytest.fixture
def machine(tmp_path):
    return Machine(CUDA, tmp_path)


@pytest.fixture
def computing(monkeypatch):
    """Let a GPU be described, and compute the sum of a first kernel."""

    def made(kernel):
        monkeypatch.setattr(environment, "wrong_architecture", lambda device: None)
        monkeypatch.setattr(environment, "describe", lambda device, threads: DRIVERS)
        monkeypatch.setattr(driver, "_first_kernel", kernel)

    return made


def test_a_gpu_that_computes(machine, computing):
    computing(lambda device: 2.0)
    found = driver.usable(machine)
    assert (found.state, found.text) == ("ok", "NVIDIA H100, driver 580.65, torch for CUDA 13.0")


def test_a_gpu_that_computes_wrongly_or_not_at_all(machine, computing):
    computing(lambda device: 3.0)
    assert "1 + 1 = 3" in driver.usable(machine).text

    def fail(device):
        raise RuntimeError("CUDA error: no kernel image is available\nCompile with ...")

    computing(fail)
    found = driver.usable(machine)
    assert found.state == "off"
    assert "CUDA error: no kernel image is available" in found.text


def test_a_gpu_that_torch_was_not_built_for(machine, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_80", "sm_90"])
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (3, 7))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla K80")
    found = driver.usable(machine)
    assert found.state == "off"
    assert "Tesla K80 (sm_37) cannot be used" in found.text
    assert "sm_80, sm_90" in found.text


@pytest.mark.parametrize(
    ("why", "named", "state"),
    [
        (None, False, "skipped"),
        ("no GPU is used: The NVIDIA driver is too old", False, "off"),
        ("no GPU is used: The NVIDIA driver is too old", True, "skipped"),  # --device cpu
    ],
)
def test_a_gpu_that_is_there_and_cannot_be_used(tmp_path, monkeypatch, why, named, state):
    monkeypatch.setattr(environment, "unused_gpu", lambda: why)
    found = driver.usable(Machine(torch.device("cpu"), tmp_path, named=named))
    assert found.state == state
    assert state != "off" or found.text == why


def test_without_a_usable_gpu_nothing_else_of_it_is_looked_at(machine):
    made = checks.run(
        machine,
        [
            Check("GPU", lambda machine: off("too old", "update"), needed=True),
            Check("load", lambda machine: ok("fine"), "cuda"),
            Check("files", lambda machine: ok("fine")),
        ],
    )
    assert [one.finding.state for one in made] == ["off", "skipped", "ok"]


def test_a_gpu_is_described_by_another_process(machine, monkeypatch):
    outcomes = [Outcome((DRIVERS,)), Outcome((), "the process was ended by SIGKILL")]
    monkeypatch.setattr(driver.apart, "run", lambda *given, seconds: outcomes.pop(0))
    assert driver.described(machine) == DRIVERS
    assert driver.described(machine) == {"device": "cuda", "device_name": None}


@pytest.mark.parametrize(
    ("changes", "state", "named"),
    [
        ({}, "ok", []),
        ({"nvmlDeviceGetTotalEnergyConsumption": fake_nvml.refuse}, "ok", ["joules"]),
        ({"nvmlDeviceGetUtilizationRates": fake_nvml.refuse}, "off", ["utilisation_percent"]),
        (
            {
                "nvmlDeviceGetCurrentClocksEventReasons": None,
                "nvmlDeviceGetCurrentClocksThrottleReasons": fake_nvml.refuse,
                "nvmlDeviceGetPowerUsage": None,
            },
            "off",
            ["power_w", "throttle_reasons"],
        ),
        ({"nvmlDeviceGetFieldValues": fake_nvml.refuse}, "ok", ["limited_seconds"]),
    ],
)
def test_what_nvml_does_not_tell_is_named(machine, monkeypatch, changes, state, named):
    fake_nvml.install(monkeypatch, **changes)
    found = gpu_state.told(machine)
    assert found.state == state
    assert found.numbers["missing"] == named
    assert all(name in found.text for name in named)


@pytest.mark.parametrize("check", [gpu_state.told, gpu_state.others, gpu_state.under_load])
def test_a_gpu_that_nvml_does_not_know(machine, monkeypatch, check):
    fake_nvml.install(monkeypatch, nvmlInit=fake_nvml.refuse)
    monkeypatch.setattr(gpu_state, "_context", lambda device: None)
    assert "NVML does not know this GPU" in check(machine).text


@pytest.mark.parametrize(
    ("listed", "busy", "state", "said"),
    [
        ((2**30,), 3, "ok", "no other process"),  # this one, under the host's number
        ((2**30, 2**30 + 1), 0, "off", "another process on the GPU"),
        ((2**30,), 40, "off", "40 % busy"),
        ((), 0, "off", "does not list this process"),
    ],
)
def test_what_else_uses_a_gpu(machine, monkeypatch, listed, busy, state, said):
    fake_nvml.install(
        monkeypatch,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: fake_nvml.processes(*listed),
        nvmlDeviceGetUtilizationRates=lambda handle: types.SimpleNamespace(gpu=busy),
    )
    monkeypatch.setattr(gpu_state, "_context", lambda device: None)
    first = device_state.first_look
    monkeypatch.setattr(device_state, "first_look", lambda gpu: first(gpu, lambda seconds: None))
    found = gpu_state.others(machine)
    assert found.state == state
    assert said in found.text


@pytest.mark.parametrize(
    ("bits", "clock_mhz", "state", "said"),
    [
        (0x0, 1755, "ok", "1755 of at most 1980 MHz, 312 of at most 700 W, 55 °C"),
        (0x4, 900, "ok", "clocks limited by power cap"),
        (0x40, 1755, "off", "throttled: hardware thermal slowdown"),
        (0x2, 900, "off", "less than 60% of the highest clock"),
    ],
)
def test_a_gpu_under_load(machine, monkeypatch, bits, clock_mhz, state, said):
    sampled = []

    def clock_info(handle, kind):
        sampled.append(kind)
        return clock_mhz

    fake_nvml.install(
        monkeypatch,
        nvmlDeviceGetClockInfo=clock_info,
        nvmlDeviceGetCurrentClocksEventReasons=lambda handle: bits,
        nvmlDeviceGetFieldValues=lambda handle, numbers: [fake_nvml.field(0) for _ in numbers],
    )

    def load(device):  # until the thread has sampled
        while len(sampled) < 2:
            pass

    found = gpu_state.under_load(machine, load)
    assert found.state == state
    assert said in found.text


@pytest.fixture
def cuda(monkeypatch):
    """A CUDA device with a spin of a given rate, and a clock of ours that reads it."""

    def made(rate=1.5e9):
        fake = FakeCuda(rate)
        fake.take_the_place_of(torch.cuda, monkeypatch)
        found = clocks.clock_of(CUDA)
        monkeypatch.setattr(found, "now", fake.clock.now)
        return found

    return made


def test_a_spin_of_a_known_length(machine, cuda):
    found = clock.spin(machine, cuda())
    assert (found.state, found.text) == ("ok", "a spin of 10 ms takes 10.00 ms by events")


def test_a_gpu_that_becomes_slower_after_its_spin_was_measured(machine, cuda):
    rates = itertools.chain([2e9] * clocks.SPINS, itertools.repeat(1.5e9))
    found = clock.spin(machine, cuda(rates))
    assert found.state == "off"
    assert "takes 13.33 ms by events" in found.text


class Lying(FakeClock):
    """A clock whose events run too slowly."""

    def between(self, start, end):
        return 0.9 * super().between(start, end)


@pytest.mark.parametrize(("kind", "state"), [(FakeClock, "ok"), (Lying, "off")])
def test_events_against_wall_time(machine, kind, state):
    given = kind(queues=True)
    found = clock.events(machine, given, lambda device: given.work(2e-3, issue=1e-5))
    assert found.state == state
    assert found.numbers["calls"] == pytest.approx(150, rel=0.15)  # of 2 ms, in 0.3 s
