"""Measure a trial by timing it: settings → times, memory, and how far from the device's limit."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch

from bench.data import registry
from bench.data.dataset import Dataset
from bench.experiment.context import Measured, RunContext
from bench.experiment.trial import TrialSettings
from bench.profiling import bound, device_state, roofline, timing, workloads
from bench.profiling.device_state import State
from bench.profiling.timing import Clock, WarmUp
from bench.profiling.workloads import Workload
from bench.store.results import ThroughputResult
from bench.training.precision import float32_as


@dataclass(frozen=True)
class Observed:
    """One measurement: warm-up, milliseconds by window and by queued call, states, memory."""

    warm: WarmUp
    wall: tuple[float, ...]
    busy: tuple[float, ...]
    states: dict[str, State]
    memory: dict[str, int | None]


def measure(settings: TrialSettings, seed: int, context: RunContext) -> Measured:
    """Time one pass of one network, or the loader, in a process that did nothing before.

    Args:
        settings: of the trial; ``settings.timing`` says what is timed.
        seed: the repetition; decides weights and inputs.
        context: where to compute, and where the datasets lie.

    Returns:
        Times, memory and roofline bound; ``problems`` if something disturbed the measurement.

    Raises:
        UserError: if the data or an option is not there.
        torch.OutOfMemoryError: if the batch does not fit.
    """
    device = context.device
    torch.set_num_threads(settings.train.threads)
    if device.index is not None:
        torch.cuda.set_device(device)
    dataset, clock = (
        registry.load(settings.data.for_seed(seed), context.root),
        timing.clock_of(device),
    )
    first = device_state.look(device)
    with float32_as(settings.train.precision):
        workload = workloads.build(settings, dataset, seed, device)
        seen = _observe(workload, settings, clock, device)
        seen.states["first"] = first
        result = {
            **_times(seen, workload, settings),
            **_attribution(workload, settings, dataset, seed, clock),
        }
        layers = _layer_times(workload, settings, clock)
        parameters = _parameters(workload)
        del workload  # measuring the ceilings needs its room
        limit, rows = bound.of(settings, dataset, device, layers, result["milliseconds"])
    unsettled = seen.warm.problem(clock)
    problems = [] if unsettled is None else [unsettled]
    problems += device_state.problems(seen.states, threads=settings.train.threads)
    result |= {
        "memory": seen.memory,
        **limit,
        "validity": {"valid": not problems, "reasons": problems},
        "states": seen.states,
        "counts": {
            "batch_size": settings.train.batch_size,
            "calls": seen.warm.calls * len(seen.wall),
            "parameters": parameters,
        },
    }
    result["metrics"] = _metrics(result)
    details = {
        "wall_ms": list(seen.wall),
        "busy_ms": list(seen.busy),
        "warm_up_ms": list(seen.warm.windows_ms),
        "layers": rows,
    }
    return Measured(ThroughputResult(**result), details, tuple(problems))


def _observe(
    workload: Workload, settings: TrialSettings, clock: Clock, device: torch.device
) -> Observed:
    """Warm up, measure, and look at the machine around it and, on a GPU, in the middle of work."""
    chosen = settings.timing
    warm = timing.warm_up(workload.call, clock, window=chosen.window, limit=chosen.warm_up)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    states = {"before": device_state.look(device)}
    wall = timing.measure(workload.call, clock, calls=warm.calls, windows=chosen.windows)
    states["after"] = device_state.look(device)
    memory = _memory(device)
    if clock.queues:
        for _ in range(warm.calls):
            workload.call()
        states["during"] = device_state.look(device)  # while it works off what is in the queue
        clock.wait()
    return Observed(warm, wall, timing.busy(workload.call, clock), states, memory)


def _times(seen: Observed, workload: Workload, settings: TrialSettings) -> dict[str, Any]:
    low, median, high = timing.quartiles(seen.wall)
    warm, first = seen.warm, seen.warm.first_ms
    compiled = settings.train.compile != "none" and workload.model is not None
    return {
        "pass": settings.timing.work,
        "images_per_second": 1e3 * workload.images / median,
        "milliseconds": median,
        "milliseconds_low": low,
        "milliseconds_high": high,
        "busy_milliseconds": timing.quartiles(seen.busy)[1] if seen.busy else None,
        "host_bound": timing.host_bound(seen.wall, seen.busy),
        "first_call_seconds": first / 1e3,
        "compile_seconds": max(0.0, first - median) / 1e3 if compiled else None,
        "compile_cached": _compile_cached() if compiled else None,
        "warm_up": {
            "settled": warm.settled,
            "windows": len(warm.windows_ms),
            "calls_in_window": warm.calls,
        },
    }


def _compile_cached() -> bool | None:
    """Tell whether compiled code came from an earlier process; None if torch does not say."""
    try:
        from torch._dynamo.utils import counters
    except ImportError:
        return None
    found = counters["inductor"]
    hits, misses = (found.get(f"fxgraph_cache_{kind}", 0) for kind in ("hit", "miss"))
    return None if hits + misses == 0 else misses == 0


def _memory(device: torch.device) -> dict[str, int | None]:
    """Return peaks in bytes: of the measured windows on CUDA, of the whole process elsewhere."""
    cuda = device.type == "cuda"
    return {
        "allocated_bytes": torch.cuda.max_memory_allocated(device) if cuda else None,
        "reserved_bytes": torch.cuda.max_memory_reserved(device) if cuda else None,
        "process_bytes": _resident(),
    }


def _resident() -> int | None:
    """Return the largest resident set of this process, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _attribution(
    workload: Workload, settings: TrialSettings, dataset: Dataset, seed: int, clock: Clock
) -> dict[str, Any]:
    """Return the parts of a step of training: milliseconds, and shares of their sum."""
    if workload.step is None:
        return {}
    parts = workloads.attribute(workload, settings, dataset, seed, clock)
    whole = sum(parts.values())
    return {"parts_ms": parts, "parts_share": {k: v / whole for k, v in parts.items()}}


def _parameters(workload: Workload) -> int | None:
    if workload.model is None:
        return None
    return sum(parameter.numel() for parameter in workload.model.parameters())


def _layer_times(workload: Workload, settings: TrialSettings, clock: Clock) -> dict[str, float]:
    """Time the forward pass by layer; nothing where compiling has melted layers together."""
    if workload.model is None or workload.forward is None or settings.train.compile != "none":
        return {}
    return roofline.layer_times(workload.model, workload.forward, clock)


def _metrics(result: dict[str, Any]) -> dict[str, float | None]:
    memory = result["memory"]
    peak = memory["allocated_bytes"] or memory["process_bytes"]
    return {
        "images_per_second": result["images_per_second"],
        "milliseconds": result["milliseconds"],
        "roofline_share": result.get("roofline_share"),
        "peak_gigabytes": None if peak is None else peak / 1e9,
    }
