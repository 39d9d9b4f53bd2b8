"""What is said of a GPU's memory, rates and numbers: on the CPU where that can be, else made up."""

import dataclasses
import functools
import os
import signal

import pytest
import torch

from bench.components.built_in import BUILT_IN
from bench.doctor import compile_modes, memory, numerics, peaks
from bench.doctor.apart import Outcome
from bench.doctor.compile_modes import MODES, PRECISIONS, Tried
from bench.doctor.finding import Machine
from bench.experiment.trial import TrialSettings
from bench.profiling.peaks import Peaks

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture
def machine(tmp_path):
    return Machine(CPU, tmp_path)


def fail(error):
    def allocate(device):
        raise error

    return allocate


def test_running_out_of_memory_is_recognised_and_a_step_works_afterwards(machine):
    """A CPU's allocator refuses 2⁶⁰ bytes as a GPU's refuses twice what it has."""
    found = memory.exhausted(machine, lambda device: torch.empty(2**60, dtype=torch.uint8))
    assert found.state == "ok"


def test_an_error_that_does_not_say_that_memory_ran_out(machine):
    found = memory.exhausted(machine, fail(RuntimeError("CUDA error: unknown error")))
    assert found.state == "off"
    assert "CUDA error: unknown error" in found.text


def test_a_gpu_that_moves_to_main_memory_what_does_not_fit(machine):
    assert "could be allocated" in memory.exhausted(machine, lambda device: None).text


def test_a_gpu_that_is_of_no_use_after_memory_ran_out(machine, monkeypatch):
    monkeypatch.setattr(memory, "_small_step", fail(RuntimeError("CUDA error: launch failure")))
    found = memory.exhausted(machine, fail(torch.OutOfMemoryError("CUDA out of memory.")))
    assert found.state == "off"
    assert "launch failure" in found.text


@pytest.mark.parametrize(("rates", "state"), [((24e9, 9e9), "ok"), ((1.6e9, 1.5e9), "off")])
def test_the_rate_of_copies(machine, rates, state):
    found = memory.copying(machine, lambda device: rates)
    assert found.state == state
    assert f"{rates[0] / 1e9:.1f} GB/s" in found.text


def test_copies_are_timed(machine, monkeypatch):
    monkeypatch.setattr(memory, "COPIED", 2**20)
    assert all(1e6 < rate < 1e13 for rate in memory._rates(CPU))


SMALL = ("sliding_window",)


def test_a_step_in_bf16_is_that_of_float32(machine):
    found = numerics.steps(machine, SMALL)
    assert found.state == "ok"
    assert set(found.numbers) == set(SMALL)


def test_every_network_is_looked_at():
    assert numerics.steps.__defaults__ == (tuple(BUILT_IN["network"]),)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda step: {"gradients": step.gradients.flip(0)}, "sliding_window: logits 0% and"),
        (lambda step: {"logits": step.logits * 1.2}, "sliding_window: logits "),
        (lambda step: {"logits": step.logits * float("nan")}, "logits nan%"),
        (lambda step: {"finite": False}, "weights are not finite"),
    ],
)
def test_a_device_that_computes_something_else(machine, monkeypatch, change, said):
    first_step = functools.cache(numerics.first_step)

    def wrong(name, precision, device):
        step = first_step(name, precision, device)
        return dataclasses.replace(step, **change(step)) if precision == "bf16" else step

    monkeypatch.setattr(numerics, "first_step", wrong)
    found = numerics.steps(machine, SMALL)
    assert found.state == "off"
    assert said in found.text


def test_a_toy_network_is_trained_in_fp16(machine):
    assert numerics.scaling(machine).state == "ok"


def test_steps_that_overflow_are_counted(machine, monkeypatch):
    """A scale of 2²⁵ is too large for fp16; the scaler halves it until gradients fit."""
    scaler = functools.partial(torch.amp.GradScaler, init_scale=2.0**25)
    monkeypatch.setattr(torch.amp, "GradScaler", scaler)
    _, skipped = numerics.toy_training(CPU)
    assert skipped[:4] == [0, 1, 2, 3]
    assert len(skipped) < numerics.SETTLED


@pytest.mark.parametrize(
    ("losses", "skipped", "state"),
    [
        ([1.4, 1.0], [0, 1], "ok"),
        ([1.4, 1.0], [0, 39], "ok"),  # gradients grew once
        ([1.4, 1.0], [18, 19, 20, 21, 22], "off"),
        ([1.4, 1.5], [], "off"),
        ([1.4, float("nan")], [], "off"),
    ],
)
def test_what_is_said_of_fp16(machine, monkeypatch, losses, skipped, state):
    monkeypatch.setattr(numerics, "toy_training", lambda device: (losses, skipped))
    assert numerics.scaling(machine).state == state


def row(precision="fp32", mode="none", **changes):
    """Return what came of a combination on a GPU where all is well."""
    compiled = {"graphs": 1, "given_up": 0, "breaks": 0, "reasons": ()}
    graphs = {"recorded": True, "skipped": 0}
    well = Tried(
        precision,
        mode,
        1.0,
        1.2,
        compiled=None if mode == "none" else compiled,
        cuda_graphs=graphs if mode in ("reduce-overhead", "max-autotune") else None,
    )
    return dataclasses.replace(well, **changes)


ALL = tuple(row(precision, mode) for mode in MODES for precision in PRECISIONS)


def test_all_combinations_well_or_as_many_as_time_allowed():
    assert len(ALL) == 16
    assert compile_modes.judged(Outcome(ALL)).state == "ok"
    found = compile_modes.judged(Outcome(ALL[:9], "it took longer than 15 s", late=True))
    assert found.state == "ok"
    assert "9 of 16 combinations" in found.text
    assert "in 15 s" in found.text


def test_a_process_that_ended_too_early():
    found = compile_modes.judged(Outcome(ALL[:9], "the process was ended by SIGSEGV"))
    assert found.state == "off"
    assert "SIGSEGV" in found.text


def some_and_then_death(machine):
    yield from ALL[:5]
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_tried_before_a_process_died_is_kept(machine, monkeypatch):
    monkeypatch.setattr(compile_modes, "SECONDS", 60.0)
    found = compile_modes.all_modes(machine, some_and_then_death)
    assert found.state == "off"
    assert found.text.startswith("5 of 16 combinations")
    assert "SIGKILL" in found.text
    assert len(found.numbers["tried"]) == 5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"failure": "RuntimeError: Triton is missing"}, "failed (RuntimeError: Triton"),
        ({"compiled": {"graphs": 0, "given_up": 1, "breaks": 0, "reasons": ()}}, "not compiled"),
        (
            {"compiled": {"graphs": 2, "given_up": 0, "breaks": 1, "reasons": ("a print",)}},
            "1 graph breaks (a print)",
        ),
        ({"cuda_graphs": {"recorded": False, "skipped": 3}}, "no CUDA graph recorded"),
        ({"cuda_graphs": {"recorded": True, "skipped": 2}}, "2 CUDA graphs skipped"),
        ({"loss": 1.4}, "a loss of 1.4 instead of 1.2"),
        ({"loss": float("nan")}, "a loss of nan"),
    ],
)
def test_what_is_wrong_with_a_combination(changes, said):
    rows = (*ALL, row("bf16", "reduce-overhead", **changes))
    found = compile_modes.judged(Outcome(rows))
    assert found.state == "off"
    assert f"{said}" in found.text
    assert ": bf16 with compile: reduce-overhead" in found.text


def test_a_combination_is_trained_and_what_was_compiled_is_told(monkeypatch):
    """On the CPU by the backend that compiles nothing; CUDA graphs there are none."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, mode: compile_(model, backend="eager"))
    plain = compile_modes._try("fp32", "none", CPU)
    found = compile_modes._try("bf16", "reduce-overhead", CPU)
    assert (found.failure, found.compiled["graphs"], found.compiled["breaks"]) == (None, 1, 0)
    assert found.cuda_graphs == {"recorded": False, "skipped": 0}
    assert (plain.compiled, plain.cuda_graphs) == (None, None)
    assert found.loss == pytest.approx(plain.loss, rel=0.01)


def test_what_an_experiment_sets_is_tried_early(tmp_path):
    train = {"precision": "bf16", "compile": "max-autotune"}
    settings = TrialSettings(data={"name": "scenes"}, train=train)
    order = compile_modes.combinations(Machine(CUDA, tmp_path, settings))
    assert order[:2] == [("fp32", "none"), ("bf16", "max-autotune")]
    assert len(order) == len(set(order)) == 16


def test_a_combination_that_fails_is_told(monkeypatch):
    def wrong(precision, mode, device):
        raise RuntimeError("no Triton")

    monkeypatch.setattr(compile_modes, "_train", wrong)
    assert compile_modes._try("tf32", "max-autotune", CPU).failure == "RuntimeError: no Triton"


@pytest.mark.parametrize(
    ("name", "half"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H200", 989),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100-PCIE-40GB", 312),
        ("Tesla V100-SXM2-16GB", 125),
        ("Tesla T4", 65),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("NVIDIA GeForce RTX 4090", 165),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", None),
        ("NVIDIA L40", None),
        ("NVIDIA GeForce GTX 1080", None),
    ],
)
def test_a_data_sheet_is_found_by_the_name_of_a_card(name, half):
    sheet = peaks.sheet_of(name)
    assert (None if sheet is None else sheet.half) == half


@pytest.mark.parametrize(
    ("name", "share", "state"),
    [
        ("NVIDIA H100 80GB HBM3", 0.7, "ok"),
        ("NVIDIA H100 80GB HBM3", 0.5, "off"),
        ("Some GPU", 0.01, "ok"),  # nothing to compare with
    ],
)
def test_rates_against_a_data_sheet(tmp_path, monkeypatch, name, share, state):
    monkeypatch.setattr(peaks, "half_format", lambda device: "bf16")
    rates = {"bf16": 989e12 * share, "fp32": 60e12}
    asked = []

    def measure(device, precision):
        asked.append((precision, torch.get_float32_matmul_precision()))
        return Peaks(rates[precision], 3e12)

    found = peaks.reached(Machine(CUDA, tmp_path), measure, lambda device: name)
    assert found.state == state
    assert (": too slow in bf16" in found.text) == (state == "off")
    assert asked == [("bf16", "highest"), ("fp32", "highest")]
    assert found.numbers["copies_rate"] == 3000
