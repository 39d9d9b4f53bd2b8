"""An experiment → arms × seeds, with keys that change when the result may."""

import dataclasses
import itertools
import random
from pathlib import Path

import pytest

from bench.data import registry
from bench.errors import UserError
from bench.experiment import config, design, plan
from bench.experiment.config import Experiment

FACTORS = {"train.loss": ["ce", "dice"], "model.upsampling": ["bilinear", "transposed"]}
SCENES = {"name": "scenes", "train": 4, "val": 2, "test": 1}


def experiment(**changes):
    values = {
        "name": "small",
        "data": SCENES,
        "factors": FACTORS,
        "seeds": [0, 1],
        "baseline": {"train.loss": "ce", "model.upsampling": "bilinear"},
    }
    return Experiment.model_validate({**values, **changes})


def labels(described):
    return [arm.label for arm in design.arms(described)]


def test_full_factorial_is_the_product():
    expected = [f"{a} · {b}" for a, b in itertools.product(*FACTORS.values())]
    assert labels(experiment()) == expected


def test_one_at_a_time_is_the_baseline_and_each_other_level():
    described = experiment(design="one_at_a_time")
    assert labels(described) == ["ce · bilinear", "dice", "transposed"]  # what differs from it


def test_exclude_and_include():
    described = experiment(
        exclude=[{"train.loss": "dice", "model.upsampling": "transposed"}],
        include=[{"model.name": "smp_unet", "model.encoder": "resnet18"}],
    )
    found = design.arms(described)
    assert [arm.label for arm in found] == [
        "ce · bilinear", "ce · transposed", "dice · bilinear", "smp_unet · resnet18",
    ]  # fmt: skip
    assert found[-1].settings.model.name == "smp_unet"
    assert found[-1].settings.train.loss == "ce"  # an included arm stands on the baseline


@pytest.mark.parametrize("number", range(5))
def test_exclude_leaves_what_matches_no_row(number):
    draw = random.Random(number)
    factors = {"train.epochs": [1, 2, 3], "train.crop_size": [64, 96], "train.batch_size": [1, 2]}
    everything = [dict(zip(factors, c, strict=True)) for c in itertools.product(*factors.values())]
    rows = []
    for combination in draw.sample(everything[1:], 4):  # the first is the baseline
        named = draw.sample(list(factors), 3 if combination["train.epochs"] == 1 else 2)
        rows.append({name: combination[name] for name in named})
    kept = [c for c in everything if not any(row.items() <= c.items() for row in rows)]
    described = experiment(factors=factors, baseline=everything[0], exclude=rows)
    if everything[0] not in kept:
        with pytest.raises(UserError, match="is excluded"):
            design.arms(described)
    else:
        assert [arm.levels for arm in design.arms(described)] == kept


class Counted(float):
    """A level that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return float(self) == other

    __hash__ = float.__hash__


def test_many_levels_are_not_compared_each_with_each():
    levels = [Counted((1 + i) / 1000) for i in range(300)]
    described = experiment(
        factors={"train.learning_rate": levels},
        baseline={"train.learning_rate": levels[-1]},
        exclude=[{"train.learning_rate": level} for level in levels[:100]],
    )
    assert len(design.arms(described)) == 200
    assert Counted.compared < 20 * len(levels)


def test_levels_may_be_lists_and_mappings():
    levels = ["none", {"name": "step", "gamma": 0.1}, {"gamma": 0.1, "name": "step"}]
    with pytest.raises(UserError, match="is given twice"):
        config.from_mapping(
            {"name": "twice", "data": SCENES, "factors": {"train.schedule": levels}}
        )
    pipelines = [["a", ["b"]], ["a", "b"]]
    described = experiment(factors={"train.augmentation": pipelines}, baseline={})
    assert described.factors == {"train.augmentation": pipelines}


def test_levels_reach_the_settings():
    described = experiment(
        factors={"train.schedule.gamma": [0.1, 0.5], "train.crop_size": [64, 96]}, baseline={}
    )
    found = {
        (a.settings.train.schedule.gamma, a.settings.train.crop_size): a.label
        for a in design.arms(described)
    }
    assert found[0.5, 64] == "gamma 0.5 · crop_size 64"
    assert len(found) == 4


def test_an_undeclared_baseline_is_what_the_sections_say():
    described = experiment(baseline={}, train={"loss": "dice"}, model={"upsampling": "transposed"})
    assert design.baseline(described) == {
        "train.loss": "dice",
        "model.upsampling": "transposed",
    }


def test_every_arm_has_a_seed_before_any_has_two(tmp_path):
    trials = plan.plan(experiment(), tmp_path)
    assert [trial.seed for trial in trials] == [0] * 4 + [1] * 4
    assert len({trial.key for trial in trials}) == 8


def test_keys_are_stable_and_change_with_settings_and_seed(tmp_path):
    def keys(**changes):
        return {trial.key for trial in plan.plan(experiment(**changes), tmp_path)}

    assert keys() == keys()
    assert keys() == keys(name="renamed", question="why?")  # does not touch a measurement
    assert keys() == keys(baseline={})
    assert not keys() & keys(train={"epochs": 99})
    assert not keys() & keys(data={**SCENES, "seed": 7})
    assert not keys() & keys(seeds=[2, 3])
    assert keys(seeds=[0]) < keys()


def test_what_is_kept_or_watched_is_no_part_of_a_key(tmp_path):
    def keys(**evaluate):
        return {trial.key for trial in plan.plan(experiment(evaluate=evaluate), tmp_path)}

    assert keys() == keys(panels=9, extremes=0, checkpoint=True, every=7) == keys(checkpoint=False)
    best = {"keep": "best"}
    others = [best, {**best, "every": 7}, {"split": "test"}, {"tta": "rotations"}, {"study": True}]
    assert len({frozenset(keys(**one)) for one in others} | {frozenset(keys())}) == 6


def test_patience_changes_keys_only_where_it_is_declared(tmp_path):
    def keys(every=1, **train):
        described = experiment(train=train, evaluate={"every": every})
        return {trial.key for trial in plan.plan(described, tmp_path)}

    assert keys() == keys(patience=None) == keys(every=7, patience=None)
    assert "patience" not in experiment().base().effective("accuracy")["train"]
    found = [keys(), keys(patience=3), keys(patience=4), keys(patience=3, every=7)]
    assert len(set.union(*found)) == sum(map(len, found))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"measure": "throughput"}, "nothing is trained if throughput is measured"),
        ({"evaluate": {"split": "test"}}, "toy has no val split here, .*; it has train, test"),
    ],
)
def test_patience_without_a_score_to_stop_by_is_refused(tmp_path, monkeypatch, changes, line):
    def without_val(settings, root):
        found = registry_load(settings, root)
        splits = {name: one for name, one in found.splits.items() if name != "val"}
        return dataclasses.replace(found, splits=splits, name="toy")

    registry_load = registry.load
    monkeypatch.setattr(registry, "load", without_val)
    with pytest.raises(UserError, match=f"^small: train.patience: {line}"):
        plan.plan(experiment(train={"patience": 3}, **changes), tmp_path)


def test_an_option_that_a_model_does_not_read_is_no_part_of_its_key(tmp_path):
    def key(channels):
        smp = {"name": "smp_unet", "base_channels": channels, "encoder": "resnet18"}
        return plan.plan(experiment(factors={}, baseline={}, model=smp, seeds=[0]), tmp_path)[0].key

    assert key(8) == key(64)


def test_arms_that_are_one_trial_are_refused(tmp_path):
    described = experiment(
        factors={
            "model.name": ["unet", "smp_unet"],
            "model.upsampling": ["bilinear", "transposed"],
        },
        model={"encoder": "resnet18"},
        baseline={},
    )
    with pytest.raises(
        UserError, match="'smp_unet · bilinear' and 'smp_unet · transposed' are the s"
    ):
        plan.plan(described, tmp_path)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exclude": [{"train.loss": "ce"}, {"train.loss": "ce"}]}, "is excluded"),
        ({"exclude": [{"train.loss": "dice"}] , "design": "one_at_a_time",
          "factors": {"train.loss": ["ce", "dice"], "model.depth": [2, 3]},
          "baseline": {"train.loss": "ce", "model.depth": 2}}, None),
        ({"include": [{"train.epochs": -1}]}, "arm 'epochs -1': train.epochs: Input should be greater"),
        ({"include": [{"train.loss": "dise"}]}, "unknown loss 'dise'; did you mean 'dice'?"),
        ({"factors": {"model.encoder": ["resnet18", "resnet19"]}, "baseline": {},
          "model": {"name": "smp_unet"}}, "model.encoder: unknown encoder 'resnet19'; did you mean"),
    ],
)  # fmt: skip
def test_an_arm_that_cannot_be_is_named(changes, expected, tmp_path):
    described = experiment(**changes)
    if expected is None:
        assert len(plan.plan(described, tmp_path)) == 4
        return
    with pytest.raises(UserError) as caught:
        plan.plan(described, tmp_path)
    assert expected in str(caught.value)


def test_a_metric_that_the_dataset_lacks_is_refused(tmp_path, made_up_data):
    with pytest.raises(UserError, match="small: metric: scenes has no v_rand"):
        plan.plan(experiment(metric="v_rand"), tmp_path)
    membranes = experiment(metric="v_rand", data={"name": "isbi2012"})
    assert plan.plan(membranes, made_up_data)


def test_times_of_batches_of_several_sizes_are_not_compared(tmp_path):
    timed = {"measure": "throughput", "metric": "milliseconds"}
    with pytest.raises(UserError, match="milliseconds is of a whole batch, and arms have batches"):
        plan.plan(experiment(factors={"train.batch_size": [1, 4]}, baseline={}, **timed), tmp_path)
    assert plan.plan(experiment(**timed), tmp_path)


def test_images_without_a_group_are_named(tmp_path):
    assert plan.plan(experiment(image_groups=r"val_(\d+)"), tmp_path)
    with pytest.raises(UserError, match="image_groups: 'patient' finds no group for val_000"):
        plan.plan(experiment(image_groups="patient"), tmp_path)


def test_a_split_that_the_dataset_lacks_is_refused(tmp_path, made_up_data):
    data = {"name": "msrc_v2", "training": "train+val"}
    with pytest.raises(UserError, match="small: evaluate: msrc_v2 has no val split here"):
        plan.plan(experiment(data=data), made_up_data)
    with pytest.raises(UserError, match="no val split"):
        plan.plan(experiment(data=data, evaluate={"split": "test", "keep": "best"}), made_up_data)
    assert plan.plan(experiment(data=data, evaluate={"split": "test"}), made_up_data)


def test_an_exclusion_that_matches_nothing_is_a_mistake():
    described = experiment(
        design="one_at_a_time", exclude=[{"train.loss": "dice", "model.upsampling": "transposed"}]
    )
    with pytest.raises(UserError, match="matches no arm"):
        design.arms(described)


def test_a_described_plan_lists_every_trial(tmp_path):
    described = experiment(question="Which loss?")
    trials = plan.plan(described, tmp_path)
    body = plan.describe(described, trials, "python -m bench run small.yaml", folder=Path())
    assert [t.key for t in body.trials] == [t.key for t in trials]
    assert body.trials[0].arm == {"train.loss": "ce", "model.upsampling": "bilinear"}
    assert body.baseline == {"train.loss": "ce", "model.upsampling": "bilinear"}


def test_the_plan_says_from_where_on_differences_matter(tmp_path):
    keys = {}
    for margin in (0.02, None):
        described = experiment(equivalence=margin)
        trials = plan.plan(described, tmp_path)
        assert plan.describe(described, trials, "", folder=Path()).equivalence == margin
        keys[margin] = [trial.key for trial in trials]
    assert keys[0.02] == keys[None]
