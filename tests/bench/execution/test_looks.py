"""Runs with declared looks: what is decided stops, and a stopped run goes on where it was."""

import math

import pytest
from rich.console import Console

from bench.errors import UserError
from bench.execution.prepare import prepare
from bench.execution.progress import Progress
from bench.execution.run_experiment import run_experiment
from bench.measurements import MEASUREMENTS
from bench.store import looks
from bench.store.folder import Store
from bench.training.checkpointing import Interrupted
from tests.bench.execution.test_run_experiment import measured

EXPERIMENT = {
    "name": "small",
    "data": {"name": "scenes", "train": 2, "val": 2, "test": 1, "size": 48},
    "factors": {"train.loss": ["ce", "dice", "dice+ce"]},
    "seeds": {"look_at": [3, 5, 8]},
}
NOISE = (0.0, 0.004, -0.003, 0.001, 0.002, -0.002, 0.003, -0.001)
LEVEL = {"ce": 0.5, "dice": 0.502, "dice+ce": 0.9}  # the last is decided at the first look


class Sweep:
    """An experiment with looks, with a stand-in for measuring."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.calls, self.stop_after, self.lines = folder, [], math.inf, []
        monkeypatch.setattr(f"{MEASUREMENTS['accuracy'].module}.measure", self.measure)

    def measure(self, settings, seed, context):
        if len(self.calls) >= self.stop_after:
            raise Interrupted("stopped")
        loss = settings.train.loss
        self.calls.append((loss, seed))
        noise = NOISE[(seed + 3 * len(loss)) % 8] / (20 if loss == "dice+ce" else 1)
        return measured(LEVEL[loss] + noise + NOISE[seed])

    def prepared(self, **changes):
        values = {**EXPERIMENT, **changes}
        return prepare(values, results=self.folder, data=self.folder, device="cpu")

    def run(self, accept_stale=False, **changes):
        progress = Progress(Console(quiet=True))
        progress.say = self.lines.append
        return run_experiment(self.prepared(**changes), progress, accept_stale=accept_stale)

    @property
    def plan(self):
        return Store(self.folder / "small").read_plan()

    def seeds(self, loss):
        return sum(one == loss for one, _ in self.calls)


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    return Sweep(tmp_path, monkeypatch)


def test_an_arm_that_is_decided_stops_and_what_is_open_goes_on(sweep):
    outcome = sweep.run()
    assert {loss: sweep.seeds(loss) for loss in LEVEL} == {"ce": 8, "dice": 8, "dice+ce": 3}
    assert (outcome.measured, outcome.stored) == (19, 0)
    assert [line for line in sweep.lines if line.startswith("look")] == [
        "look 1 of 3, with 3 seeds: 9 trials",
        "look 1 of 3, with 3 seeds: train.loss = dice+ce is better; open: train.loss = dice",
        "look 2 of 3, with 5 seeds: 13 trials",
        "look 2 of 3, with 5 seeds: open: train.loss = dice",
        "look 3 of 3, with 8 seeds: 19 trials",
        "look 3 of 3, with 8 seeds: inconclusive: train.loss = dice",
    ]
    plan = sweep.plan
    assert (plan.looks, plan.seeds, len(plan.trials), plan.more) == (
        (3, 5, 8),
        tuple(range(8)),
        19,
        0,
    )
    counted = looks.read(Store(sweep.folder / "small"))
    assert [one.seeds for one in counted] == [3, 5, 8]
    assert {one.declared for one in counted} == {(3, 5, 8)}
    again = sweep.run()
    assert (again.measured, again.stored) == (0, 19)


@pytest.mark.parametrize("stop_after", [4, 9, 11, 13])
def test_a_run_that_was_stopped_comes_to_the_same_trials(sweep, stop_after):
    sweep.stop_after = stop_after
    with pytest.raises(Interrupted):
        sweep.run()
    sweep.stop_after = math.inf
    sweep.run()
    assert len(sweep.calls) == len(set(sweep.calls)) == 19
    assert sweep.seeds("dice+ce") == 3


def test_what_may_be_added_is_planned_at_most(sweep):
    assert (len(sweep.prepared().trials), sweep.prepared().stage.more) == (9, 15)
    sweep.stop_after = 10
    with pytest.raises(Interrupted):
        sweep.run()
    assert (len(sweep.plan.trials), sweep.plan.more) == (13, 6)


def test_a_run_until_it_is_decided_ends_at_once_where_all_is(sweep):
    sweep.run(
        seeds={"until": "decided", "at_most": 20},
        factors={"train.loss": ["ce", "dice+ce"]},
    )
    assert sweep.seeds("dice+ce") == sweep.seeds("ce") < 8


def test_accepted_records_of_other_code_count_at_looks(sweep, monkeypatch):
    sweep.run()
    before = len(sweep.calls)
    monkeypatch.setattr("bench.experiment.code_digest.of_measurement", lambda measure: "other")
    outcome = sweep.run(accept_stale=True)
    assert (len(sweep.calls), outcome.measured) == (before, 0)
    assert len(sweep.plan.trials) == 19


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factors": {}}, "looks decide comparisons with the baseline, and there are none"),
        ({"tune": {"train.learning_rate": [0.1, 0.2]}}, "looks and tune do not go together"),
    ],
)
def test_looks_that_can_decide_nothing_are_refused(sweep, changes, said):
    with pytest.raises(UserError, match=said):
        sweep.prepared(**changes)


@pytest.mark.parametrize(
    "data",
    [
        {"name": "isbi2012", "fold": "seed", "folds": 5},
        {"name": "folder", "path": "scans", "folds": {"count": 3, "fold": "seed"}},
    ],
)
def test_looks_at_folds_are_refused(sweep, data):
    with pytest.raises(UserError, match="no looks with a fold for each seed"):
        sweep.prepared(data=data)
