"""One GPU as NVML tells of it. What a driver does not tell, or a container hides, is None."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# NVML's bits for what limits the clocks (nvmlClocksEventReasons in its documentation).
REASONS = {
    0x1: "idle",
    0x2: "application clocks",
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clocks",
}
# NVML's fields that count for how many nanoseconds a reason has limited the clocks (nvml.h,
# NVML_FI_DEV_CLOCKS_EVENT_REASON_*). Drivers of release 580 and newer ones number the last three
# differently. Under the other numbers are settings, which do not change meanwhile: of the
# differences that two moments have, the largest is the counter's.
EVENTS = {
    "power cap": (74,),
    "sync boost": (76,),
    "software thermal slowdown": (75, 251, 269),
    "hardware thermal slowdown": (252, 270),
    "hardware power brake": (253, 271),
}
_FIELDS = [number for numbers in EVENTS.values() for number in numbers]
Counters = dict[int, float | None]  # number of a field → its value
# Types of a field's value (nvmlValueType_t) → where in NVML's union it is.
_VALUES = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}
_SUCCESS = 0  # NVML_SUCCESS


class Gpu:
    """An open handle of a GPU. Every answer may be None."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self.nvml, self.handle = nvml, handle

    def ask(self, name: str, *arguments: Any) -> Any:
        """Return what a function of pynvml, given the handle, returns."""
        try:
            return getattr(self.nvml, name)(self.handle, *arguments)
        except (AttributeError, self.nvml.NVMLError):
            return None

    def reading(self) -> dict[str, Any]:
        """Return what changes from moment to moment: clocks, temperature, power, reasons."""
        power = self.ask("nvmlDeviceGetPowerUsage")
        return {
            "sm_clock_mhz": self._of("nvmlDeviceGetClockInfo", "NVML_CLOCK_SM"),
            "memory_clock_mhz": self._of("nvmlDeviceGetClockInfo", "NVML_CLOCK_MEM"),
            "temperature_c": self._of("nvmlDeviceGetTemperature", "NVML_TEMPERATURE_GPU"),
            "power_w": None if power is None else power / 1e3,
            "throttle_reasons": self.reasons(),
        }

    def reasons(self) -> list[str] | None:
        """Return what limits the clocks now."""
        bits = self.ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # the name that older drivers know
            bits = self.ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        return None if bits is None else [name for bit, name in REASONS.items() if bits & bit]

    def most_sm_clock_mhz(self) -> int | None:
        """Return the highest clock of the multiprocessors."""
        found: int | None = self._of("nvmlDeviceGetMaxClockInfo", "NVML_CLOCK_SM")
        return found

    def power_limit_w(self) -> float | None:
        """Return the power that the GPU is held below, in watts."""
        limit = self.ask("nvmlDeviceGetEnforcedPowerLimit")
        return None if limit is None else limit / 1e3

    def utilisation_percent(self) -> int | None:
        """Return how much of the time some kernel ran, over up to a second until now."""
        found: int | None = getattr(self.ask("nvmlDeviceGetUtilizationRates"), "gpu", None)
        return found

    def processes(self) -> list[int] | None:
        """Return the ids of processes that compute on it; a container may hide them."""
        running = self.ask("nvmlDeviceGetComputeRunningProcesses")
        return None if running is None else [process.pid for process in running]

    def joules(self) -> float | None:
        """Return the energy that it took since the driver was loaded, in joules."""
        millijoules = self.ask("nvmlDeviceGetTotalEnergyConsumption")
        return None if millijoules is None else millijoules / 1e3

    def counters(self) -> Counters:
        """Return what counts for how long the clocks have been limited, for `limited_seconds`."""
        found = self.ask("nvmlDeviceGetFieldValues", _FIELDS)
        values = [None] * len(_FIELDS) if found is None else [_value(field) for field in found]
        return dict(zip(_FIELDS, values, strict=True))

    def driver(self) -> str | None:
        """Return the version of the driver."""
        try:
            return str(self.nvml.nvmlSystemGetDriverVersion())
        except (AttributeError, self.nvml.NVMLError):
            return None

    def _of(self, name: str, kind: str) -> Any:
        constant = getattr(self.nvml, kind, None)
        return None if constant is None else self.ask(name, constant)


def _value(field: Any) -> float | None:
    """Return the number of one of NVML's fields, which has a status and a type of its own."""
    name = _VALUES.get(field.valueType)
    if field.nvmlReturn != _SUCCESS or name is None:
        return None
    return float(getattr(field.value, name))


def limited_seconds(before: Counters, after: Counters) -> dict[str, float | None]:
    """Return reason → for how many seconds it limited the clocks between two moments."""
    found: dict[str, float | None] = {}
    for reason, numbers in EVENTS.items():
        pairs = ((before.get(number), after.get(number)) for number in numbers)
        grown = [now - then for then, now in pairs if then is not None and now is not None]
        found[reason] = max(0.0, *grown) / 1e9 if grown else None
    return found


@contextlib.contextmanager
def opened(device: torch.device) -> Iterator[Gpu | None]:
    """Open a device for the time of a ``with`` block; None if NVML does not know it.

    Starting NVML takes longer than a short measurement, so a handle is kept over all of one.
    """
    nvml = _started(device)
    if nvml is None:
        yield None
        return
    try:
        yield _found(nvml, device)
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _started(device: torch.device) -> Any:
    """Return pynvml, initialised; None without a GPU of NVIDIA, the package or the driver."""
    if device.type != "cuda":
        return None
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _found(nvml: Any, device: torch.device) -> Gpu | None:
    """Find a device by its UUID, since torch's and NVML's numbers may differ."""
    import torch

    try:
        uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    except (RuntimeError, AssertionError):  # a device that the runtime cannot use
        return None
    for name in (f"GPU-{uuid}", f"MIG-{uuid}"):
        with contextlib.suppress(nvml.NVMLError):
            return Gpu(nvml, nvml.nvmlDeviceGetHandleByUUID(name))
    return None
