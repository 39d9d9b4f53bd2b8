"""Measure a trial by timing it: settings → times, memory, and the distance from the roofline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeVar

import torch

from bench.data import registry
from bench.errors import out_of_memory
from bench.experiment.context import Measured, RunContext
from bench.experiment.trial import TrialSettings
from bench.machine import nvml
from bench.machine.nvml import Gpu
from bench.profiling import (
    bound,
    clocks,
    cuda_graphs,
    device_state,
    memory,
    queued,
    roofline,
    sampling,
    timing,
    workloads,
)
from bench.profiling.clocks import Clock
from bench.profiling.device_state import State
from bench.profiling.queued import Queued
from bench.profiling.sampling import Seen
from bench.profiling.timing import WarmUp, Windows
from bench.profiling.workloads import Workload
from bench.store.results import CudaGraphs, Memory, ThroughputResult
from bench.training import compiling
from bench.training.convolutions import tried_by_cudnn
from bench.training.precision import float32_as

T = TypeVar("T")
ENERGY_FROM = 1.0  # seconds; NVML renews its energy counter some ten times a second


@dataclass(frozen=True)
class Samples:
    """The raw samples of one measurement."""

    warm_up: WarmUp
    windows: Windows
    busy: Queued  # calls by the device's own events
    states: dict[str, State]  # of the machine, by moment
    memory: Memory  # peaks of the measured windows
    seen: Seen  # of the GPU, meanwhile
    graphs: CudaGraphs | None


def measure(settings: TrialSettings, seed: int, context: RunContext) -> Measured:
    """Time one pass of one network, or the loader, in a fresh process.

    The seed tells repetitions apart; it decides weights and inputs. ``problems`` of the result say
    what disturbed the measurement. UserError if the data or an option is not there;
    ``torch.OutOfMemoryError`` if the batch does not fit.
    """
    torch.set_num_threads(settings.train.threads)
    if settings.train.compile != "none":
        compiling.begin()
    # What works in main memory is timed as on a machine without a GPU.
    device = context.device if workloads.on_device(settings) else torch.device("cpu")
    dataset = registry.load(settings.data.for_seed(seed), context.root)
    clock = clocks.clock_of(device)
    recipe = settings.train
    with nvml.opened(device) as gpu:
        first = device_state.first_look(gpu)
        with float32_as(recipe.precision), tried_by_cudnn(recipe.cudnn_benchmark):
            workload = workloads.build(settings, dataset, seed, device)
            samples = _sample(workload, settings, clock, device, gpu)
            result = _summary(samples, workload, settings)
            # What follows explains the times, and a good trial stays one where it does not fit.
            attribute = partial(workloads.attribute, workload, settings, dataset, seed, clock)
            if parts := _if_it_fits(attribute):
                whole = sum(parts.values())
                result["parts_ms"] = parts
                result["parts_share"] = {name: part / whole for name, part in parts.items()}
            layers = _if_it_fits(partial(_layers, workload, settings, clock))
            del workload, attribute  # measuring the peak rates needs its memory
            took = result["milliseconds"]
            compare = partial(bound.of, settings, dataset, device, layers or {}, took)
            roofs, rows = _if_it_fits(compare) or ({}, [])
    states = {**samples.states, "first": first}
    validity = _validity(samples.warm_up, clock, states, settings, accept_busy=context.accept_busy)
    result |= {**roofs, "validity": validity, "states": states}
    result["metrics"]["roofline_share"] = roofs.get("roofline_share")
    details = {
        "wall_ms": list(samples.windows.times),
        "busy_ms": list(samples.busy.times),
        "warm_up_ms": list(samples.warm_up.windows_ms),
        "layers": rows,
    }
    return Measured(ThroughputResult(**result), details, tuple(validity["reasons"]))


def _if_it_fits(work: Callable[[], T]) -> T | None:
    """Return what is measured beside the times; None where memory runs out."""
    try:
        return work()
    except Exception as error:
        if not out_of_memory(error):
            raise
    return None


def _layers(workload: Workload, settings: TrialSettings, clock: Clock) -> dict[str, float]:
    """Time the layers of a network; one that is compiled has no separate ones."""
    if settings.train.compile != "none" or workload.model is None or workload.forward is None:
        return {}
    return roofline.layer_times(workload.model, workload.forward, clock)


def _sample(
    workload: Workload, settings: TrialSettings, clock: Clock, device: torch.device, gpu: Gpu | None
) -> Samples:
    """Warm up, measure, and record the machine's state around it and, of a GPU, during work."""
    given = settings.timing
    warm = timing.warm_up(workload.call, clock, window=given.window, limit=given.warm_up)
    memory.reset(device)
    states = {"before": device_state.look(gpu)}
    with sampling.watching(gpu, now=clock.now) as seen:
        windows = timing.measure_until(
            workload.call,
            clock,
            calls=warm.calls,
            windows=given.windows,
            standard_error=given.standard_error,
            limit=given.measuring,
        )
    states["after"] = device_state.look(gpu)
    if gpu is not None:
        states["during"] = {"gpu": seen.state()}
    peaks = memory.peaks(device)
    compiled = "none" if workload.model is None else settings.train.compile
    graphs = cuda_graphs.of(compiled, device)
    busy = queued.busy(workload.call, clock)
    return Samples(warm, windows, busy, states, peaks, seen, graphs)


def _validity(
    warm: WarmUp,
    clock: Clock,
    states: dict[str, State],
    settings: TrialSettings,
    *,
    accept_busy: bool,
) -> dict[str, Any]:
    """Return what invalidates the times, and what would have if it had not been accepted."""
    unsettled = warm.problem(clock)
    problems, accepted = device_state.problems(
        states, threads=settings.train.threads, accept_busy=accept_busy
    )
    reasons = [*([] if unsettled is None else [unsettled]), *problems]
    return {"valid": not reasons, "reasons": reasons, "accepted": accepted}


def _summary(samples: Samples, workload: Workload, settings: TrialSettings) -> dict[str, Any]:
    """Return the keys of `ThroughputResult` that follow from the samples."""
    windows, warm, model = samples.windows, samples.warm_up, workload.model
    low, median, high = timing.quartiles(windows.times)
    compiled = settings.train.compile != "none" and model is not None
    calls = warm.calls * len(windows.times)
    return {
        "pass": settings.timing.work,
        "images_per_second": 1e3 * workload.images / median,
        "milliseconds": median,
        "milliseconds_low": low,
        "milliseconds_high": high,
        "busy_milliseconds": timing.quartiles(samples.busy.times)[1]
        if samples.busy.times
        else None,
        "busy_problem": samples.busy.problem,
        "host_bound": timing.host_bound(windows.times, samples.busy.times),
        "first_call_seconds": warm.first_ms / 1e3,
        "compile_seconds": max(0.0, warm.first_ms - median) / 1e3 if compiled else None,
        "compile_cached": _compile_cached() if compiled else None,
        "compiled": asdict(compiling.outcome()) if compiled else None,
        "cuda_graphs": samples.graphs,
        "warm_up": {
            "settled": warm.settled,
            "windows": len(warm.windows_ms),
            "calls_in_window": warm.calls,
            "drift": warm.drift,
        },
        "measuring": {
            "ended": windows.ended,
            "standard_error": windows.standard_error,
            "wanted": settings.timing.standard_error,
        },
        "counts": {
            "batch_size": settings.train.batch_size,
            "calls": calls,
            "parameters": None if model is None else sum(p.numel() for p in model.parameters()),
        },
        **_costs(samples, workload, calls, median),
    }


def _costs(samples: Samples, workload: Workload, calls: int, median: float) -> dict[str, Any]:
    """Return what a call takes in memory and energy, and all metrics."""
    graphs, energy = samples.graphs, samples.seen
    kind = memory.peak_of(samples.memory, replayed=graphs is not None and graphs.recorded)
    peak = None if kind is None else samples.memory.peak(kind)
    joules = None
    if energy.joules and energy.seconds >= ENERGY_FROM:
        joules = energy.joules / (calls * workload.images)
    metrics = {
        "images_per_second": 1e3 * workload.images / median,
        "milliseconds": median,
        "roofline_share": None,  # added when the peak rates are known
        "peak_gigabytes": None if peak is None else peak / 1e9,
        "joules_per_image": joules,
    }
    return {
        "memory": samples.memory,
        "peak_of": kind,
        "joules_per_image": joules,
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
