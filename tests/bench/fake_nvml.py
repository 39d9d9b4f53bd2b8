"""A module like pynvml, with one GPU, of which any function may be missing or refused."""

import os
import sys
import types

import torch

UUID = "1234"
STRANGER = 2**30  # a process of another group


class NVMLError(Exception):
    pass


def refuse(*arguments):
    raise NVMLError("Not Supported")


def field(value, kind=3, status=0):
    """Return a value of a field as NVML does: a status, a type, and a union."""
    names = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}
    union = types.SimpleNamespace(**{names[kind]: value})
    return types.SimpleNamespace(nvmlReturn=status, valueType=kind, value=union)


def processes(*pids):
    return [types.SimpleNamespace(pid=pid) for pid in pids]


def module(**changes):
    """Return the module; a change of None takes a function away, as an old version lacks it."""
    counters = {74: 5_000_000_000, 251: 1, 269: 2_000_000_000}
    found = types.SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        NVML_CLOCK_MEM=2,
        NVML_TEMPERATURE_GPU=0,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlSystemGetDriverVersion=lambda: "580.65.06",
        nvmlDeviceGetHandleByUUID=lambda uuid: uuid if uuid == f"GPU-{UUID}" else refuse(),
        nvmlDeviceGetCurrentClocksEventReasons=lambda handle: 0x4 | 0x20,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0x4 | 0x20,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: processes(os.getpid(), STRANGER),
        nvmlDeviceGetPowerUsage=lambda handle: 312_500,
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: 700_000,
        nvmlDeviceGetUtilizationRates=lambda handle: types.SimpleNamespace(gpu=3),
        nvmlDeviceGetClockInfo=lambda handle, kind: {1: 1755, 2: 2619}[kind],
        nvmlDeviceGetMaxClockInfo=lambda handle, kind: 1980,
        nvmlDeviceGetTemperature=lambda handle, sensor: 55,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: 9_000_000,
        nvmlDeviceGetFieldValues=lambda handle, numbers: [
            field(counters[number]) if number in counters else field(0, status=3)
            for number in numbers
        ],
    )
    for name, change in changes.items():
        if change is None:
            delattr(found, name)
        else:
            setattr(found, name, change)
    return found


def install(monkeypatch, **changes):
    """Let it be pynvml, and torch know a GPU of its UUID."""
    found = module(**changes)
    monkeypatch.setitem(sys.modules, "pynvml", found)
    properties = types.SimpleNamespace(uuid=UUID)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    return found
