"""Whether processes get the same bytes in nearly the same time: real steps, and made-up results."""

import dataclasses

import pytest
import torch

from bench.doctor import apart, repeats
from bench.doctor.apart import Outcome
from bench.doctor.finding import Machine
from bench.doctor.repeats import Trained
from bench.experiment.trial import TrialSettings
from bench.profiling import workloads

SETTINGS = TrialSettings.model_validate(
    {
        "data": {"name": "scenes", "size": 48, "train": 1, "val": 1, "test": 1},
        "model": {"base_channels": 2, "depth": 1},
        "train": {"crop_size": 16, "batch_size": 2},
    }
)
SAME = [Trained("a", (2.0, 1.0))] * 3
ROUNDED = [Trained("a", (2.0, 1.0)), Trained("b", (2.0, 1.001)), Trained("a", (2.0, 1.0))]
WRONG = [Trained("a", (2.0, 1.0)), Trained("b", (2.0, 1.5)), Trained("a", (2.0, float("nan")))]


@pytest.fixture
def machine(tmp_path):
    return Machine(torch.device("cpu"), tmp_path, SETTINGS, tmp_path)


@pytest.mark.parametrize(
    ("runs", "times", "gpu", "state", "said"),
    [
        (
            SAME,
            (10.0, 10.4, 10.2),
            True,
            "ok",
            "the same bytes in 3 processes, and a step takes 10",
        ),
        (SAME, (10.0, 10.6, 10.2), True, "off", "6% apart; at most 5%"),
        (SAME, (10.0, 10.6, 10.2), False, "ok", "10 to 10.6 ms"),
        (SAME, (10.0, 13.0, 10.2), True, "off", "end other processes"),
        (SAME, (10.0, 17.0, 10.2), False, "ok", "10 to 17 ms"),
        (ROUNDED, (10.0, 10.0, 10.0), True, "ok", "losses differ by 0.001 of their size"),
        (ROUNDED, (10.0, 10.0, 10.0), False, "off", "report it"),
        (WRONG[:2], (10.0, 10.0), True, "off", "losses differ by 0.3"),
        (WRONG, (10.0, 10.0, 10.0), True, "off", "ECC"),
    ],
)
def test_results_of_processes_are_compared(runs, times, gpu, state, said):
    finding = repeats.judged(runs, times, gpu=gpu)
    assert finding.state == state
    assert said in f"{finding.text}. {finding.mend}"


@pytest.fixture
def here(monkeypatch):
    """Do in this process, and quickly, what has processes of its own."""
    monkeypatch.setattr(repeats, "WINDOW", 1e-3)
    monkeypatch.setattr(repeats, "WARM_UP", 1e-3)
    monkeypatch.setattr(
        apart, "run", lambda produce, machine, seconds: Outcome(tuple(produce(machine)))
    )


def test_real_steps_give_the_same_bytes(machine, here):
    numbers = repeats.same_bytes(machine).numbers
    assert numbers["same"]
    assert numbers["losses_apart"] == 0
    assert all(len(losses) == repeats.STEPS for losses in numbers["losses"])


def test_steps_that_are_not_seeded_are_noticed(machine, here, monkeypatch):
    build, seeds = workloads.build, iter(range(3))
    monkeypatch.setattr(
        workloads, "build", lambda s, data, seed, device: build(s, data, next(seeds), device)
    )
    found = repeats.same_bytes(machine)
    assert found.state == "off"
    assert not found.numbers["same"]


def test_an_experiment_whose_data_are_absent_is_trained_on_scenes(machine, tmp_path):
    settings = SETTINGS.model_copy(
        update={"data": TrialSettings(data={"name": "msrc_v2"}).data},
    )
    absent = dataclasses.replace(machine, settings=settings)
    found, dataset = repeats._settled(absent)
    assert dataset.name == "scenes"
    assert (found.model, found.timing.work) == (SETTINGS.model, "train_step")


@pytest.mark.parametrize("rows", [(), (SAME[0],)])
def test_steps_that_take_too_long_are_skipped(machine, monkeypatch, rows):
    outcome = Outcome(rows, "it took longer than 15 s", late=True)
    monkeypatch.setattr(apart, "run", lambda produce, machine, seconds: outcome)
    assert repeats.same_bytes(machine).state == "skipped"
