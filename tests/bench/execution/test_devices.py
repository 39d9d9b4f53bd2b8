"""Times of two devices are never compared: real trials, on a machine whose processor changes."""

import dataclasses

import pytest
import torch
import yaml

from bench.__main__ import main
from bench.errors import UserError
from bench.execution import as_planned, prepare
from bench.machine import device_identity, environment
from bench.measurements import MEASUREMENTS
from bench.profiling import device_state, peaks
from bench.profiling.timing import WarmUp
from bench.store.folder import Store

SPEED = {
    "name": "speed",
    "measure": "throughput",
    "data": {"name": "scenes", "train": 2, "val": 1, "test": 1, "size": 48},
    "model": {"base_channels": 2, "depth": 1},
    "train": {"crop_size": 16, "threads": 1},
    "timing": {
        "pass": "forward",
        "window": 0.001,
        "windows": 3,
        "warm_up": 0.01,
        "measuring": 0.001,
    },
    "seeds": 2,
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the experiment on a machine whose processor has some name; return its records."""
    here = dataclasses.replace(MEASUREMENTS["throughput"], fresh_process=False)
    monkeypatch.setitem(MEASUREMENTS, "throughput", here)
    monkeypatch.setitem(peaks.SIZES, "cpu", (2**12, 16))
    monkeypatch.setattr(device_state, "busy_meanwhile", lambda states, threads: [])
    monkeypatch.setattr(WarmUp, "problem", lambda warm, clock: None)
    (tmp_path / "speed.yaml").write_text(yaml.safe_dump(SPEED))

    def run(processor, *further):
        monkeypatch.setattr(environment, "cpu_name", lambda: processor)
        words = ["run", str(tmp_path / "speed.yaml"), "--results", str(tmp_path), "--device", "cpu"]
        assert main([*words, "--quiet", *further]) == 0
        return list(Store(tmp_path / "speed").records())

    return run


def test_a_sweep_in_two_pieces_on_two_devices_is_measured_on_one(run, capsys):
    first = run("Xeon A", "--set", "seeds=1")
    assert {record.environment["device_name"] for record in first} == {"Xeon A"}
    capsys.readouterr()
    both = run("Xeon B", "--accept-stale")
    assert {record.environment["device_name"] for record in both} == {"Xeon B"}
    assert {record.seed for record in both} == {0, 1}
    said = " ".join(capsys.readouterr().err.split())
    assert "1 trial stored for other devices: measured again here (kept in" in said
    assert "--accept-stale" not in said
    back = run("Xeon A", "--set", "seeds=1")  # what was put aside comes back
    assert {record.started for record in first} <= {record.started for record in back}


def test_a_worker_on_another_device_stores_nothing(run, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "cpu_name", lambda: "Xeon A")
    (trial, *_) = prepare.prepare(
        tmp_path / "speed.yaml", results=tmp_path, device="cpu"
    ).stage.trials
    as_planned.check_device(trial, torch.device("cpu"))
    monkeypatch.setattr(environment, "cpu_name", lambda: "Xeon B")
    with pytest.raises(UserError, match="planned for Xeon A, and cpu"):
        as_planned.check_device(trial, torch.device("cpu"))


def test_the_power_that_a_gpu_is_held_below_tells_it_apart(monkeypatch):
    cuda = {"device": "cuda", "device_name": "NVIDIA H100 80GB HBM3"}
    known = [{**cuda, "power_limit_w": limit} for limit in (None, 500.0, 700.0)]
    assert len({device_identity.recorded(one) for one in known}) == 3
    monkeypatch.setattr(environment, "describe", lambda device, threads: known[2])
    assert device_identity.of(torch.device("cuda")) == "NVIDIA H100 80GB HBM3, at most 700 W"


def test_scores_of_networks_are_of_no_device(tmp_path):
    values = {**SPEED, "measure": "accuracy", "timing": {}, "train": {"crop_size": 16}}
    prepared = prepare.prepare(values, results=tmp_path, data=tmp_path, device="cpu")
    assert not any("device" in trial.provenance for trial in prepared.trials)


def test_only_what_is_timed_can_be_timed_on_a_busy_machine(tmp_path):
    values = {**SPEED, "measure": "accuracy", "timing": {}}
    with pytest.raises(UserError, match="--accept-busy: speed measures accuracy"):
        prepare.prepare(values, results=tmp_path, data=tmp_path, device="cpu", accept_busy=True)


def test_a_busy_machine_is_accepted_and_recorded(run, monkeypatch):
    busy = "busy machine: other processes took 1.50 of 2 cores (at most 0.20 are allowed)"
    monkeypatch.setattr(device_state, "busy_meanwhile", lambda states, threads: [busy])
    found = run("Xeon A", "--accept-busy", "--set", "seeds=1")
    assert {record.status for record in found} == {"done"}
    assert {record.throughput.validity.accepted for record in found} == {(busy,)}
