"""Loading against training: what is said of made-up rates, and that real ones are measured."""

import pytest
import torch

from bench.doctor import apart, loader
from bench.doctor.apart import Outcome
from bench.doctor.finding import Machine
from bench.doctor.loader import Rates
from bench.experiment.trial import TrialSettings

SETTINGS = TrialSettings.model_validate(
    {
        "data": {"name": "scenes", "size": 48, "train": 4, "val": 1, "test": 1},
        "model": {"base_channels": 2, "depth": 1},
        "train": {"crop_size": 16, "batch_size": 2},
    }
)


@pytest.fixture
def machine(tmp_path):
    return Machine(torch.device("cpu"), tmp_path, SETTINGS, tmp_path)


@pytest.mark.parametrize(
    ("found", "cores", "overlaps", "state", "said"),
    [
        # A GPU computes meanwhile: the loader has to be faster than the step by a tenth.
        (Rates(300, 4, 1000, 900), 7, True, "ok", "1000 images/s with 4 workers, the step takes"),
        (Rates(300, 4, 1000, 920), 7, True, "off", "--workers 5"),  # 250 each, 1012 wanted
        (Rates(300, 0, 300, 1000), 7, True, "off", "--workers 4"),  # 300 each, 1100 wanted
        (Rates(300, 7, 1400, 900), 7, True, "ok", "--workers 5 would do"),  # 200 each
        (Rates(300, 1, 250, 900), 2, True, "off", "4 loader processes are needed, and 2 cores"),
        (Rates(300, 1, 250, 900), -1, True, "off", "and 0 cores"),
        # A CPU loads between its steps: a quarter of the time at most.
        (Rates(300, 0, 300, 100), 0, False, "ok", "loading is 25% of the time"),
        (Rates(300, 0, 300, 110), 0, False, "off", "a cheaper train.augmentation"),
        (
            Rates(300, 0, 300, 110),
            1,
            False,
            "off",
            "where trials are fewer than cores, --workers 1",
        ),
        (Rates(300, 0, 300, None), 0, False, "ok", "no step of training was done in time"),
    ],
)
def test_rates_are_compared(found, cores, overlaps, state, said):
    finding = loader.judged(found, cores=cores, overlaps=overlaps)
    assert finding.state == state
    assert said in f"{finding.text}. {finding.mend}"
    assert finding.numbers["enough"] == found.enough()


@pytest.mark.parametrize(
    ("rows", "failure", "late", "state", "said"),
    [
        ({"workers": 0, "alone": 9.0, "loaded": 9.0, "step": 1.0}, None, False, "ok", "9 images"),
        ({"workers": 0, "alone": 9.0, "loaded": 9.0}, "too long", True, "ok", "in time"),
        ({"workers": 0}, "too long", True, "skipped", "no batch was loaded in time"),
        ({"workers": 0, "absent": "install it"}, None, False, "skipped", "install it"),
    ],
)
def test_a_process_that_is_late_or_finds_no_data(
    machine, monkeypatch, rows, failure, late, state, said
):
    outcome = Outcome(tuple(rows.items()), failure, late)
    monkeypatch.setattr(apart, "run", lambda produce, machine, seconds: outcome)
    finding = loader.rates(machine)
    assert finding.state == state
    assert said in finding.text


def test_a_process_that_fails_is_no_answer(machine, monkeypatch):
    outcome = Outcome((("workers", 0),), "OutOfMemoryError: 80 GB")
    monkeypatch.setattr(apart, "run", lambda produce, machine, seconds: outcome)
    with pytest.raises(RuntimeError, match="80 GB"):
        loader.rates(machine)


def test_without_an_experiment_that_trains_nothing_is_timed(machine, tmp_path):
    cpu = torch.device("cpu")
    assert "EXPERIMENT.yaml" in loader.rates(Machine(cpu, tmp_path)).text
    timing = Machine(cpu, tmp_path, SETTINGS, trains=False)
    assert loader.rates(timing).state == "skipped"
    train = SETTINGS.train.model_copy(update={"loader": "device"})
    there = Machine(cpu, tmp_path, SETTINGS.model_copy(update={"train": train}))
    assert "needs no processes" in loader.rates(there).text


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(loader, "WINDOW", 1e-3)
    monkeypatch.setattr(loader, "WARM_UP", 1e-3)
    monkeypatch.setattr(loader, "WINDOWS", 1)


def test_real_rates(machine, quick):
    rows = dict(loader._measured(machine))
    assert list(rows) == ["workers", "alone", "loaded", "step"]
    assert rows["workers"] == 0  # on a CPU
    assert rows["alone"] == rows["loaded"] > 0 < rows["step"]


def test_what_is_not_installed_is_named_with_its_command(machine, quick, tmp_path):
    settings = TrialSettings(data={"name": "msrc_v2"}, train={"crop_size": 16})
    absent = Machine(machine.device, tmp_path, settings, tmp_path)
    rows = dict(loader._measured(absent))
    assert "python -m bench data install msrc_v2" in rows["absent"]
    assert "step" not in rows
