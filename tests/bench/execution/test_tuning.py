"""Settings are tuned for every arm alike, with other seeds and images than are reported."""

import math

import pytest
import torch
from rich.console import Console

from bench.analysis.analysis import load
from bench.data.tune_split import cut
from bench.errors import UserError
from bench.execution import run_experiment as running
from bench.execution.prepare import prepare
from bench.execution.progress import Progress
from bench.execution.run_experiment import run_experiment
from bench.experiment import config, stages
from bench.measurements import MEASUREMENTS
from bench.report.content import tuning as content
from bench.report.tables import tuning as tuning_tables
from bench.training.checkpointing import Interrupted
from bench.training.loop import Diverged
from tests.bench.execution.test_run_experiment import measured

RATE = "train.learning_rate"
EXPERIMENT = {
    "name": "small",
    "data": {"name": "scenes", "train": 6, "val": 2, "test": 1, "size": 48},
    "train": {"learning_rate": 0.01},
    "factors": {"train.loss": ["ce", "dice"]},
    "seeds": [0, 1],
    "tune": {RATE: {"from": 0.001, "to": 0.1, "points": 3}, "seeds": [100, 101], "extend": 2},
}
BEST = {"ce": 0.1, "dice": 0.001}  # rates at which the stand-in scores best


class Sweep:
    """An experiment that is tuned, with a stand-in for measuring."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.best, self.calls = folder, dict(BEST), []
        self.diverges, self.stop_after, self.lines = set(), math.inf, []
        monkeypatch.setattr(f"{MEASUREMENTS['accuracy'].module}.measure", self.measure)

    def measure(self, settings, seed, context):
        if len(self.calls) >= self.stop_after:
            raise Interrupted("stopped")
        loss, rate, split = (
            settings.train.loss,
            settings.train.learning_rate,
            settings.evaluate.split,
        )
        self.calls.append((loss, rate, seed, split))
        if (loss, rate) in self.diverges:
            raise Diverged("nan")
        best = self.best[loss, seed] if (loss, seed) in self.best else self.best[loss]
        return measured(0.9 - 0.1 * abs(math.log10(rate / best)) + seed / 1e4)

    def prepared(self, **changes):
        values = {**EXPERIMENT, **changes}
        return prepare(values, results=self.folder, data=self.folder, device="cpu")

    def run(self, *, accept_stale=False, **changes):
        progress = Progress(Console(quiet=True))
        progress.say = self.lines.append
        return run_experiment(self.prepared(**changes), progress, accept_stale=accept_stale)

    @property
    def plan(self):
        return self.prepared().store.read_plan()


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    return Sweep(tmp_path, monkeypatch)


def chosen(plan):
    return {one.label: (one.values[RATE], one.at_edge) for one in plan.tuning.chosen}


def test_each_arm_gets_the_value_that_scores_best_with_other_seeds_and_images(sweep):
    sweep.best = {"ce": 0.01, "dice": 0.01}
    outcome = sweep.run()
    tuned = {call for call in sweep.calls if call[3] == "tune"}
    assert tuned == {
        (loss, rate, s, "tune") for loss in BEST for rate in (0.001, 0.01, 0.1) for s in (100, 101)
    }
    assert {call[2:] for call in sweep.calls} - {call[2:] for call in tuned} == {
        (0, "val"),
        (1, "val"),
    }
    assert chosen(sweep.plan) == {"ce": (0.01, False), "dice": (0.01, False)}
    assert (outcome.stored, outcome.measured) == (0, 12 + 4)  # defaults are those chosen
    again = sweep.run()
    assert (again.stored, again.measured) == (16, 0)


def test_the_values_are_widened_for_all_arms_where_one_is_best_at_an_end(sweep):
    sweep.best = {"ce": 1.0, "dice": 0.01}
    outcome = sweep.run()
    rates = {
        loss: {call[1] for call in sweep.calls if call[0] == loss and call[3] == "tune"}
        for loss in BEST
    }
    assert rates["ce"] == rates["dice"] == {0.001, 0.01, 0.1, 1.0, 10.0}
    assert chosen(sweep.plan) == {"ce": (1.0, False), "dice": (0.01, False)}
    assert outcome.measured == len(sweep.calls) == len(set(sweep.calls)) == 5 * 4 + 4 + 2
    plan = sweep.plan
    assert {trial.key for trial in plan.trials} & {trial.key for trial in plan.tuning.defaults}
    assert sweep.lines.count("chosen for ce: train.learning_rate = 1") == 1


def test_accepted_records_of_other_code_choose_values_too(sweep, monkeypatch):
    sweep.best = {"ce": 1.0, "dice": 0.01}
    sweep.run()
    before, plan = len(sweep.calls), sweep.plan
    monkeypatch.setattr("bench.experiment.code_digest.of_measurement", lambda measure: "other")
    outcome = sweep.run(accept_stale=True)
    assert (outcome.measured, len(sweep.calls)) == (0, before)
    assert sweep.plan.keys == plan.keys
    assert sweep.plan.tuning == plan.tuning
    assert {one.stale for one in sweep.plan.trials} == {("code",)}


def test_every_reported_seed_can_have_a_tuning_of_its_own(sweep):
    sweep.best = {"ce": 0.01, "dice": 0.01, ("dice", 102): 0.1, ("dice", 103): 0.1}
    tune = {**EXPERIMENT["tune"], RATE: [0.001, 0.01, 0.1, 1.0], "repeat": 2}
    outcome = sweep.run(tune=tune)
    assert {call[2] for call in sweep.calls if call[3] == "tune"} == {100, 101, 102, 103}
    assert {call[:3] for call in sweep.calls if call[3] == "val"} == {
        *((loss, 0.01, seed) for loss in BEST for seed in (0, 1)),  # of ce, and the defaults
        ("dice", 0.1, 1),
    }
    assert outcome.measured == 2 * 4 * 4 + 5
    assert [line for line in sweep.lines if line.startswith("chosen")] == [
        "chosen for ce: train.learning_rate = 0.01 (seed 0); train.learning_rate = 0.01 (seed 1)",
        "chosen for dice: train.learning_rate = 0.01 (seed 0); train.learning_rate = 0.1 (seed 1)",
    ]
    assert sweep.run(tune=tune).measured == 0
    results = load(sweep.prepared(tune=tune).store)
    frame = tuning_tables.trials(results)
    rows = frame[(frame["arm"] == "dice") & (frame["stage"] == "tuned")]
    assert dict(zip(rows["seed"], rows[RATE], strict=True)) == {0: 0.01, 1: 0.1}
    rows = frame[(frame["arm"] == "dice") & frame["chosen"].eq(True)]
    assert set(zip(rows["seed"], rows[RATE], strict=True)) == {
        (100, 0.01), (101, 0.01), (102, 0.1), (103, 0.1)
    }  # fmt: skip
    assert content.arm_table(results).rows[1][3] == "0.01 (1×), 0.1 (1×)"


def test_a_single_tuning_is_for_all_reported_seeds(sweep):
    sweep.run()
    assert {one.seed for one in sweep.plan.tuning.chosen} == {None}
    assert sweep.plan.tuning.repeat == 1


def test_what_lies_at_the_end_after_all_is_said(sweep):
    sweep.best = {"ce": 1e3, "dice": 0.01}
    sweep.run()
    assert chosen(sweep.plan)["ce"] == (10.0, True)
    assert any("at the end of the values tried" in line for line in sweep.lines)


def test_a_run_that_diverges_counts_as_the_worst(sweep):
    sweep.best = {"ce": 0.1, "dice": 0.01}
    sweep.diverges = {("ce", 0.1)}
    sweep.run()
    assert chosen(sweep.plan)["ce"][0] == 0.01  # at 0.1 it would be better, if it trained


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stops."""
    with pytest.MonkeyPatch.context() as patch:
        sweep = Sweep(tmp_path_factory.mktemp("whole"), patch)
        sweep.best = {"ce": 1.0, "dice": 0.01}
        sweep.run()
        return sweep


@pytest.mark.parametrize("calls", [0, 1, 11, 12, 15, 17, 23])
def test_a_run_that_is_stopped_anywhere_goes_on_to_the_same_end(whole, sweep, calls):
    sweep.best = {"ce": 1.0, "dice": 0.01}
    sweep.stop_after = calls
    with pytest.raises(Interrupted):
        sweep.run()
    plan = sweep.prepared().store.read_plan()
    assert plan is None or len(plan.trials) == 4
    sweep.stop_after = math.inf
    sweep.run()
    assert sweep.plan.tuning == whole.plan.tuning
    assert sweep.plan.trials == whole.plan.trials
    assert sorted(sweep.calls) == sorted(whole.calls)


def test_a_trial_of_tuning_that_is_lost_is_measured_again_and_nothing_else(sweep):
    sweep.best = {"ce": 1.0, "dice": 0.01}
    sweep.run()
    before, plan = list(sweep.calls), sweep.plan
    store = sweep.prepared().store
    store.record_file(plan.tuning.trials[0].key).unlink()
    assert sweep.prepared().stage.name == "tuning"
    outcome = sweep.run()
    assert (outcome.measured, sweep.calls[len(before) :]) == (1, [("ce", 0.001, 100, "tune")])
    assert sweep.plan == plan
    assert not (store.folder / "archive").exists()


def test_at_most_as_many_trials_follow_as_are_announced(sweep):
    first = sweep.prepared().stage
    assert (len(first.trials), first.more) == (16, 2 * 4 * 2 + 4)
    sweep.best = {"ce": 1e-6, "dice": 1e3}
    sweep.run()
    assert len(sweep.prepared().trials) == 16 + first.more


def test_a_factorial_and_further_arms_are_tuned_alike(sweep):
    factors = {"train.loss": ["ce", "dice"], "model.upsampling": ["bilinear", "transposed"]}
    sweep.run(factors=factors, include=[{"train.loss": "ce", "model.base_channels": 8}])
    tried = [call for call in sweep.calls if call[3] == "tune"]
    assert len(tried) % (5 * 2) == 0
    assert len(sweep.plan.tuning.chosen) == 5


def test_two_settings_are_tuned_together(sweep):
    tune = {RATE: [0.001, 0.01], "train.weight_decay": [0.0, 0.1], "seeds": [7], "extend": 0}
    sweep.run(tune=tune)
    values = [dict(one.values) for one in sweep.prepared(tune=tune).store.read_plan().tuning.trials]
    assert len(values) == 2 * 4
    assert {RATE: 0.001, "train.weight_decay": 0.1} in values


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tune": {RATE: [0.1, 0.2], "seeds": [1, 5]}}, "tune.seeds: 1 is a seed that is reported"),
        ({"tune": {"train.learning_rat": [0.1, 0.2]}}, "did you mean 'train.learning_rate'"),
        (
            {"tune": {RATE: [0.1, 0.2], "split": "val"}},
            "val holds images of val, which is reported",
        ),
        ({"tune": {RATE: 0.1}}, "or a list of values is wanted (got 0.1)"),
        ({"tune": {RATE: {"from": 1, "to": 0.1, "points": 3}}}, "from is the smaller one"),
        ({"tune": {RATE: {"from": 0.1, "to": 1}}}, "is wanted (got the keys from, to)"),
        ({"tune": {RATE: [0.1, 0.1]}}, "a value is given twice"),
        ({"tune": {RATE: [0.1, 0.2], "sedes": [5]}}, "did you mean 'seeds'"),
        ({"tune": {"seeds": [5]}}, "names no setting"),
        ({"tune": {RATE: [-0.1, 0.2]}}, "greater than 0 (got -0.1)"),
        ({"tune": {RATE: [0.1, 0.2], "repeat": 3}}, "tune.repeat: 1, or 2 for the 2 seeds"),
        (
            {"seeds": [0, 101], "tune": {RATE: [0.1, 0.2], "seeds": [100], "repeat": 2}},
            "tune.seeds: 101 is a seed that is reported",
        ),
        ({"evaluate": {"split": "train"}}, "tune holds images of train"),
        ({"measure": "throughput", "metric": "images_per_second"}, "nothing is trained"),
        ({"factors": {RATE: [0.1, 0.2]}}, "arms set it themselves"),
        ({"include": [{RATE: 0.3}]}, "arms set it themselves"),
        ({"factors": {"a": [{"name": "b", RATE: 0.3}, {"name": "c", RATE: 1}]}}, "arms set it"),
        (
            {"seeds": 300_000, "tune": {RATE: [0.1, 0.2], "seeds": [400_000]}},
            "makes up to 1200012 trials; at most 1000000",
        ),
    ],
)
def test_what_would_tune_unfairly_is_refused_in_one_line(sweep, changes, says):
    with pytest.raises(UserError, match=r"^experiment|^small") as caught:
        sweep.prepared(**changes)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_are_a_geometric_grid(sweep):
    tune = {RATE: {"from": 1e-4, "to": 1e-1, "points": 7}}
    described = config.from_mapping({**EXPERIMENT, "tune": tune})
    grid = described.tune.grid[RATE]
    assert grid == pytest.approx([10 ** (-4 + i / 2) for i in range(7)], rel=1e-3)
    assert described.tune.seeds == [100, 101]


def test_keys_of_trials_that_are_not_tuned_stay(sweep):
    plain = {name: value for name, value in EXPERIMENT.items() if name != "tune"}
    plain_stage = prepare(plain, results=sweep.folder, data=sweep.folder, device="cpu").stage
    tuned = sweep.prepared().stage
    assert [one.key for one in plain_stage.reported] == [one.key for one in tuned.reported]


def test_a_fifth_of_the_training_images_is_cut_off_and_nothing_else_can_be_looked_at(sweep):
    prepared = sweep.prepared()
    settings = prepared.trials[0].arm.settings
    assert settings.evaluate.split == "tune"
    part, whole = settings.dataset(prepared.root), prepared.stage.reported[0].arm.settings
    full = whole.dataset(prepared.root).splits["train"]
    assert set(part.splits) == {"train", "tune"}
    train, tune = part.splits["train"], part.splits["tune"]
    assert (len(train.names), len(tune.names)) == (4, 2)
    assert sorted(train.names + tune.names) == sorted(full.names)
    assert len({train.fingerprint, tune.fingerprint, full.fingerprint}) == 3
    again = cut(whole.dataset(prepared.root))
    assert again.splits["tune"].names == tune.names


def test_a_trial_of_tuning_is_really_trained_on_the_rest(tmp_path):
    values = {
        **EXPERIMENT,
        "model": {"name": "unet", "base_channels": 2, "depth": 1},
        "train": {"crop_size": 48, "batch_size": 2, "epochs": 1, "threads": 1},
        "factors": {},
        "tune": {RATE: [0.001, 0.01], "seeds": [100], "extend": 0},
        "seeds": [0],
    }
    prepared = prepare(values, results=tmp_path, data=tmp_path, device="cpu")
    outcome = running.run_experiment(prepared, Progress(Console(quiet=True)))
    assert (outcome.measured, outcome.failed) == (4, ()) or outcome.measured == 3
    store = prepared.store
    plan = store.read_plan()
    tuning = store.read(plan.tuning.trials[0].key).accuracy
    reported = store.read(plan.trials[0].key).accuracy
    assert (tuning.split, tuning.watched_split) == ("tune", "tune")
    assert (tuning.counts["train_images"], reported.counts["train_images"]) == (4, 6)
    assert tuning.counts["evaluated_images"] == 2
    assert torch.get_num_threads() >= 1
    again = stages.stage(prepared.experiment, tmp_path, store)
    assert again.name == "tuned arms"
