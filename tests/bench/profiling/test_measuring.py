"""Every pass is measured as on a CUDA device: clock, memory and NVML are made up, the rest real."""

import types

import pytest
import torch

from bench.experiment.context import RunContext
from bench.experiment.trial import READS
from bench.profiling import clocks, cuda_graphs, memory, throughput, timing, workloads
from bench.profiling.peaks import Peaks
from bench.store.results import CudaGraphs, Memory
from tests.bench import fake_nvml
from tests.bench.profiling.fake_clock import FakeClock
from tests.bench.profiling.test_throughput import settings

CUDA = torch.device("cuda")
CALL = 0.020  # seconds of the device for a call
LOADED = 0.030  # seconds of the host for a batch
ALLOCATED, RESERVED = 3_000_000_000, 5_000_000_000


@pytest.fixture
def on_cuda(monkeypatch, tmp_path):
    """Measure a pass. Its network is on the CPU, and all that asks for a device hears of a GPU."""
    device, host = FakeClock(queues=True), FakeClock()
    energy = iter([1_000_000, 1_900_000])  # before and after the windows, in millijoules
    fake_nvml.install(
        monkeypatch,
        nvmlDeviceGetComputeRunningProcesses=lambda handle: [],
        nvmlDeviceGetCurrentClocksEventReasons=lambda handle: 0x4,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: next(energy),
    )
    for name, value in (("allocated", ALLOCATED), ("reserved", RESERVED)):
        monkeypatch.setattr(torch.cuda, f"max_memory_{name}", lambda device, of=value: of)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(clocks, "clock_of", lambda d: device if d.type == "cuda" else host)
    monkeypatch.setattr(throughput.device_state, "busy_meanwhile", lambda states, threads: [])
    monkeypatch.setattr(throughput.bound.peaks, "measure", lambda *arguments: Peaks(1e9, 1e9))
    monkeypatch.setattr(workloads, "attribute", lambda *arguments: {})
    monkeypatch.setattr(throughput.roofline, "layer_times", lambda *arguments: {})
    built = workloads.build

    def build(given, dataset, seed, where):
        real = built(given, dataset, seed, torch.device("cpu"))
        clock = device if where.type == "cuda" else host
        return types.SimpleNamespace(
            **{**vars(real), "call": clock.work(CALL if where.type == "cuda" else LOADED, 1e-3)}
        )

    monkeypatch.setattr(workloads, "build", build)

    def measured(work, **changes):
        given = settings(work, timing__window=0.2, timing__windows=5, **changes)
        context = RunContext(tmp_path, CUDA, put=lambda content, suffix: "blob")
        return throughput.measure(given, 0, context)

    return measured


@pytest.mark.parametrize("work", sorted(READS.keys() - {"loader"}))
def test_a_pass_on_a_gpu_is_judged_by_it(work, on_cuda):
    found = on_cuda(work)
    result = found.result
    assert found.problems == ()
    assert result.milliseconds == pytest.approx(1e3 * CALL, rel=0.02)
    assert result.busy_milliseconds == pytest.approx(1e3 * CALL)
    assert result.host_bound is None
    assert (result.peak_of, result.metrics["peak_gigabytes"]) == ("allocated", ALLOCATED / 1e9)
    assert set(result.states) == {"first", "before", "during", "after"}
    assert result.states["during"]["gpu"]["limited_seconds"]["power cap"] == 0.0
    images = result.counts["calls"] * result.counts["batch_size"]
    assert result.joules_per_image == pytest.approx(900 / images)
    assert result.metrics["joules_per_image"] == result.joules_per_image
    assert result.measuring.ended == "standard error"


def test_the_loader_is_judged_as_a_loader(on_cuda):
    result = on_cuda("loader").result
    assert result.milliseconds == pytest.approx(1e3 * (LOADED + 1e-3))
    assert (result.busy_milliseconds, result.host_bound, result.busy_problem) == (None,) * 3
    assert result.memory.allocated_bytes is None
    assert result.peak_of == "process"
    assert result.metrics["peak_gigabytes"] == result.memory.process_bytes / 1e9
    assert result.joules_per_image is None
    assert all(state["gpu"] is None for state in result.states.values())


def test_a_loader_may_vary_as_a_cpu_does(on_cuda, monkeypatch):
    drifting = timing.WarmUp(90.0, 1, tuple(20.0 + number for number in range(6)), False)
    monkeypatch.setattr(timing, "warm_up", lambda *arguments, **rest: drifting)
    assert on_cuda("loader").problems == ()
    assert on_cuda("forward").problems[0].startswith("the warm-up did not settle")


def test_replayed_graphs_take_what_was_reserved(on_cuda, monkeypatch):
    graphs = CudaGraphs(recorded=True, skipped=0)
    monkeypatch.setattr(cuda_graphs, "of", lambda mode, device: graphs)
    monkeypatch.setattr(torch, "compile", lambda model, mode: model)
    result = on_cuda("forward", train__compile="reduce-overhead").result
    assert (result.peak_of, result.metrics["peak_gigabytes"]) == ("reserved", RESERVED / 1e9)
    assert result.cuda_graphs == graphs
    recorded = Memory(allocated_bytes=0, reserved_bytes=7, process_bytes=9)
    assert memory.peak_of(recorded, replayed=False) == "allocated"  # 0 bytes are an answer


class Manager:
    """What torch keeps of the CUDA graphs of a device: trees by function."""

    def __init__(self, roots):
        self.roots = roots


@pytest.mark.parametrize(
    ("manager", "skips", "recorded"),
    [(None, 0, False), (Manager({}), 2, False), (Manager({1: ["graph"]}), 1, True)],
)
def test_whether_graphs_were_recorded_is_read_from_torch(monkeypatch, manager, skips, recorded):
    from torch._dynamo.utils import counters
    from torch._inductor import cudagraph_trees

    assert hasattr(cudagraph_trees.CUDAGraphTreeManager, "get_roots")  # what `roots` is of
    monkeypatch.setitem(counters["inductor"], "cudagraph_skips", skips)
    monkeypatch.setattr(
        cudagraph_trees, "get_manager", lambda index, create_if_none_exists: manager
    )
    device = torch.device("cuda:0")
    expected = CudaGraphs(recorded=recorded, skipped=skips)
    assert cuda_graphs.of("reduce-overhead", device) == expected
    assert cuda_graphs.of("default", device) is None
    on_cpu = cuda_graphs.of("max-autotune", torch.device("cpu"))
    assert on_cpu == CudaGraphs(recorded=False, skipped=0)
