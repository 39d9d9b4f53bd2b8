"""Measure a trial by timing it: settings → times, memory, and the distance from the roofline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from bench.data import registry
from bench.errors import out_of_memory
from bench.experiment.context import Measured, RunContext
from bench.experiment.trial import TrialSettings
from bench.profiling import bound, device_state, memory, roofline, timing, workloads
from bench.profiling.device_state import State
from bench.profiling.timing import Clock, WarmUp
from bench.profiling.workloads import Workload
from bench.store.results import Memory, ThroughputResult
from bench.training.precision import float32_as

T = TypeVar("T")


@dataclass(frozen=True)
class Samples:
    """The raw samples of one measurement."""

    warm_up: WarmUp
    wall: tuple[float, ...]  # milliseconds of a call in each window
    busy: tuple[float, ...]  # of queued calls by the device's own events; empty without a queue
    states: dict[str, State]  # of the machine, by moment
    memory: Memory  # peaks of the measured windows


def measure(settings: TrialSettings, seed: int, context: RunContext) -> Measured:
    """Time one pass of one network, or the loader, in a fresh process.

    The seed tells repetitions apart; it decides weights and inputs. ``problems`` of the result say
    what disturbed the measurement. UserError if the data or an option is not there;
    ``torch.OutOfMemoryError`` if the batch does not fit.
    """
    device, threads = context.device, settings.train.threads
    torch.set_num_threads(threads)
    if device.index is not None:
        torch.cuda.set_device(device)
    dataset = registry.load(settings.data.for_seed(seed), context.root)
    clock, first = timing.clock_of(device), device_state.look(device)
    with float32_as(settings.train.precision):
        workload = workloads.build(settings, dataset, seed, device)
        samples = _sample(workload, settings, clock, device)
        result = _summary(samples, workload, settings)
        # What follows explains the times, and a good trial stays one where it does not fit.
        attribute = partial(workloads.attribute, workload, settings, dataset, seed, clock)
        if parts := _if_it_fits(attribute):
            whole = sum(parts.values())
            result["parts_ms"] = parts
            result["parts_share"] = {name: part / whole for name, part in parts.items()}
        layers = None  # a compiled network has no separate ones
        if settings.train.compile == "none" and workload.model is not None and workload.forward:
            forward = partial(roofline.layer_times, workload.model, workload.forward, clock)
            layers = _if_it_fits(forward)
            del forward
        del workload, attribute  # measuring the peak rates needs its memory
        took = result["milliseconds"]
        compare = partial(bound.of, settings, dataset, device, layers or {}, took)
        roofs, rows = _if_it_fits(compare) or ({}, [])
    states = {**samples.states, "first": first}
    unsettled = samples.warm_up.problem(clock)
    problems = [] if unsettled is None else [unsettled]
    problems += device_state.problems(states, threads=threads)
    result |= {**roofs, "validity": {"valid": not problems, "reasons": problems}, "states": states}
    result["metrics"]["roofline_share"] = roofs.get("roofline_share")
    details = {
        "wall_ms": list(samples.wall),
        "busy_ms": list(samples.busy),
        "warm_up_ms": list(samples.warm_up.windows_ms),
        "layers": rows,
    }
    return Measured(ThroughputResult(**result), details, tuple(problems))


def _if_it_fits(work: Callable[[], T]) -> T | None:
    """Return what is measured beside the times; None where memory runs out."""
    try:
        return work()
    except Exception as error:
        if not out_of_memory(error):
            raise
    return None


def _sample(
    workload: Workload, settings: TrialSettings, clock: Clock, device: torch.device
) -> Samples:
    """Warm up, measure, and record the machine's state around it and, on a GPU, during work."""
    given = settings.timing
    warm = timing.warm_up(workload.call, clock, window=given.window, limit=given.warm_up)
    memory.reset(device)
    states = {"before": device_state.look(device)}
    wall = timing.measure(workload.call, clock, calls=warm.calls, windows=given.windows)
    states["after"] = device_state.look(device)
    peaks = memory.peaks(device)
    if clock.queues:
        for _ in range(warm.calls):
            workload.call()
        states["during"] = device_state.look(device)  # while the queued calls are running
        clock.wait()
    return Samples(warm, wall, timing.busy(workload.call, clock), states, peaks)


def _summary(samples: Samples, workload: Workload, settings: TrialSettings) -> dict[str, Any]:
    """Return the keys of `ThroughputResult` that follow from the samples."""
    low, median, high = timing.quartiles(samples.wall)
    warm, model = samples.warm_up, workload.model
    compiled = settings.train.compile != "none" and model is not None
    peak = samples.memory.allocated_bytes or samples.memory.process_bytes
    metrics = {
        "images_per_second": 1e3 * workload.images / median,
        "milliseconds": median,
        "roofline_share": None,  # added when the peak rates are known
        "peak_gigabytes": None if peak is None else peak / 1e9,
    }
    return {
        "pass": settings.timing.work,
        "images_per_second": metrics["images_per_second"],
        "milliseconds": median,
        "milliseconds_low": low,
        "milliseconds_high": high,
        "busy_milliseconds": timing.quartiles(samples.busy)[1] if samples.busy else None,
        "host_bound": timing.host_bound(samples.wall, samples.busy),
        "first_call_seconds": warm.first_ms / 1e3,
        "compile_seconds": max(0.0, warm.first_ms - median) / 1e3 if compiled else None,
        "compile_cached": _compile_cached() if compiled else None,
        "warm_up": {
            "settled": warm.settled,
            "windows": len(warm.windows_ms),
            "calls_in_window": warm.calls,
        },
        "memory": samples.memory,
        "counts": {
            "batch_size": settings.train.batch_size,
            "calls": warm.calls * len(samples.wall),
            "parameters": None if model is None else sum(p.numel() for p in model.parameters()),
        },
        "metrics": metrics,
    }


def _compile_cached() -> bool | None:
    """Tell whether compiled code came from an earlier process; None if torch does not say."""
    try:
        from torch._dynamo.utils import counters
    except ImportError:
        return None
    found = counters["inductor"]
    cached, compiled = (found.get(f"fxgraph_cache_{kind}", 0) for kind in ("hit", "miss"))
    return None if cached + compiled == 0 else compiled == 0
