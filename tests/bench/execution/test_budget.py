"""A run with a budget of time: what it measures first, where it stops, and how it goes on."""

import json

import pytest
from rich.console import Console

import bench
from bench.__main__ import main
from bench.errors import UserError
from bench.execution import budget as time_budget
from bench.execution.budget import Budget
from bench.execution.prepare import prepare
from bench.execution.progress import Progress
from bench.execution.run_experiment import OutOfBudget, run_experiment
from bench.experiment import estimate
from bench.training.checkpointing import Interrupted

SMALL = {
    "name": "small",
    "data": {"name": "scenes", "train": 4, "val": 2, "test": 1, "size": 48},
    "model": {"base_channels": 2, "depth": 1},
    "train": {"crop_size": 32, "batch_size": 2, "epochs": 3, "threads": 1},
    "evaluate": {"panels": 0, "extremes": 0},
    "factors": {"train.loss": ["ce", "dice"]},
    "baseline": {"train.loss": "dice"},
    "seeds": [0, 1],
}


class Epochs(Progress):
    """A clock that goes by epochs; notes which trials they are of."""

    def __init__(self):
        super().__init__(Console(quiet=True))
        self.seen = []

    def epoch(self, job, row):
        self.seen.append((job.trial.arm.label, job.trial.seed, row["epoch"]))

    def budget(self, epochs):
        """Return one that ends after so many epochs from now on."""
        end = len(self.seen) + epochs
        return Budget(f"{epochs}s", epochs, end, clock=lambda: len(self.seen))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6h", 21600),
        ("90m", 5400),
        ("1h30m", 5400),
        ("45s", 45),
        ("1.5h", 5400),
        ("1H 2m 3s", 3723),
    ],
)
def test_a_time_is_read_and_begins_at_once(text, seconds):
    now = 100.0
    found = time_budget.begin(text, lambda: now)
    assert (found.seconds, found.ends) == (seconds, 100 + seconds)
    assert not found.is_spent()
    now = 100.0 + seconds
    assert found.is_spent()


@pytest.mark.parametrize("text", ["", "6", "6hours", "h", "0s", "30m1h", "-1h", "1h30", "nan h"])
def test_what_is_no_time_is_one_line(text):
    with pytest.raises(UserError) as refused:
        time_budget.begin(text)
    assert str(refused.value) == f"--budget: {text!r} is no time; say 6h, 90m, 1h30m or 45s"


def essence(store):
    """What is stored, but for times."""
    return {
        record.key: (
            record.result.metrics,
            [r.train_loss for r in store.details(record.key).history],
        )
        for record in store.records()
    }


def test_a_run_stops_after_the_epoch_and_the_next_goes_on_there(tmp_path):
    whole = prepare(SMALL, results=tmp_path / "whole", data=tmp_path, device="cpu")
    run_experiment(whole, Progress(Console(quiet=True)))
    shown = Epochs()

    def run(epochs):
        """Return what a run says is left; it is never over its budget."""
        before = len(shown.seen)
        budget = shown.budget(epochs)
        prepared = prepare(SMALL, results=tmp_path, data=tmp_path, device="cpu", budget=budget)
        try:
            run_experiment(prepared, shown)
        except OutOfBudget as error:
            assert len(shown.seen) - before == epochs
            return str(error)
        return prepared.store

    assert run(1) == (
        "the budget of 1s is spent; 4 of 4 trials are left (1 begun); seeds measured with every "
        "arm: none yet"
    )
    assert run(7) == (
        "the budget of 7s is spent; 2 of 4 trials are left (1 begun); seeds measured with every "
        "arm: 0"
    )
    store = run(99)
    again = list(dict.fromkeys(shown.seen))  # a resumed trial shows its earlier epochs once more
    order = [("dice", 0), ("ce", 0), ("dice", 1), ("ce", 1)]
    assert again == [(*trial, epoch) for trial in order for epoch in (1, 2, 3)]
    assert essence(store) == essence(whole.store)


def test_whoever_asks_to_stop_is_not_told_of_a_budget(tmp_path):
    budget = Budget("1s", 1, 0, clock=lambda: 1)
    prepared = prepare(SMALL, results=tmp_path, data=tmp_path, device="cpu", budget=budget)
    with pytest.raises(Interrupted) as stopped:
        run_experiment(prepared, Progress(Console(quiet=True)), stop=lambda: True)
    assert not isinstance(stopped.value, OutOfBudget)


def test_tuning_comes_before_all_that_it_is_compared_with(tmp_path):
    values = {**SMALL, "tune": {"train.learning_rate": [0.001, 0.01], "seeds": [9], "extend": 0}}
    values["train"] = {**SMALL["train"], "epochs": 1}
    shown = Epochs()

    def run(epochs):
        budget = shown.budget(epochs)
        return run_experiment(
            prepare(values, results=tmp_path, data=tmp_path, device="cpu", budget=budget), shown
        )

    with pytest.raises(OutOfBudget, match=r"5 of 8 trials are left .*, and at most 4 more when"):
        run(3)
    assert {seed for _, seed, _ in shown.seen} == {9}
    outcome = run(99)
    seeds = [seed for _, seed, _ in shown.seen[3:]]
    assert seeds[:5] == [9, 0, 0, 1, 1]  # what is reported, then what it is compared with
    assert (outcome.stored, outcome.measured) == (3, len(seeds))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder to work in, with an experiment, whose budgets go by a clock that stands still."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(json.dumps(SMALL))
    begin = time_budget.begin
    monkeypatch.setattr(time_budget, "begin", lambda text: begin(text, clock=lambda: 0.0))
    return tmp_path


@pytest.mark.parametrize(
    ("budget", "jobs", "line"),
    [
        ("9s", 1, "9s is enough for about 0 of these; then seeds measured with every arm: none"),
        ("25s", 1, "25s is enough for about 2 of these; then seeds measured with every arm: 0"),
        ("15s", 2, "15s is enough for about 3 of these, 2 at a time if that slows none of them"),
        ("40s", 1, "40s is enough for all of these"),
    ],
)
def test_a_dry_run_says_what_fits(small, capsys, monkeypatch, budget, jobs, line):
    def ten_seconds(measure, trials, *rest, **options):
        return {trial.key: 10.0 for trial in trials}

    monkeypatch.setattr(estimate, "each", ten_seconds)
    command = ["run", "small.yaml", "--dry-run", "--budget", budget, "--jobs", str(jobs)]
    assert main([*command, "--device", "cpu"]) == 0
    assert any(said.startswith(line) for said in capsys.readouterr().out.splitlines())


def test_a_dry_run_says_what_fits_of_tuning(small, capsys, monkeypatch):
    monkeypatch.setattr(
        estimate, "each", lambda measure, trials, *a, **b: {t.key: 1.0 for t in trials}
    )
    tune = ["--set", "tune={train.learning_rate: [0.001, 0.01], seeds: [9], extend: 0}"]
    command = ["run", "small.yaml", "--dry-run", "--device", "cpu", *tune, "--budget"]
    assert main([*command, "3s"]) == 0
    assert "3s is enough for about 3 of 4 tuning trials" in capsys.readouterr().out
    assert main([*command, "6s"]) == 0
    assert "6s is enough for all of 4 tuning trials" in capsys.readouterr().out


def test_a_typo_is_told_before_anything_else(small, capsys):
    assert main(["run", "nowhere.yaml", "--budget", "6 hours"]) == 2
    said = capsys.readouterr().err
    assert said == "error: --budget: '6 hours' is no time; say 6h, 90m, 1h30m or 45s\n"


def test_a_spent_budget_is_a_warning_in_python(small, monkeypatch):
    spent = Budget("1h", 3600, 0, clock=lambda: 1)
    monkeypatch.setattr(time_budget, "begin", lambda text: spent)
    with pytest.warns(UserWarning, match=r"^the budget of 1h is spent; 4 of 4 .*next call goes on"):
        found = bench.run(SMALL, budget="1h", device="cpu", quiet=True)
    assert list(found.trials["status"]) == ["not run"] * 4
