"""Names for reports: of what there is, each of one thing only, and without effect on keys."""

import pytest

from bench.errors import UserError
from bench.experiment import config, design, plan

SCENES = {"name": "scenes", "train": 4, "val": 2, "test": 1, "size": 48}
CE = {"name": "CE", "train.loss": "ce", "train.epochs": 2}
FACTORS = {"train.loss": ["ce", "dice"], "model.dropout": [0.0, 0.5], "train.compile": ["none"]}


def experiment(labels=None, **changes):
    values = {"name": "small", "data": SCENES, "factors": FACTORS, "seeds": 1, **changes}
    values["include"] = [{"model.name": "smp_unet"}, {"name": "wide", "model.base_channels": 128}]
    return config.from_mapping(values if labels is None else {**values, "labels": labels})


LEVELS = {
    "train.loss": {"ce": "Cross-entropy", "dice": "Dice loss"},
    "model.dropout": {0.5: "with dropout"},
    "model.name": {"smp_unet": "SMP's U-Net"},
}


def test_arms_are_called_as_their_levels_are():
    arms = design.arms(experiment({"levels": LEVELS}))
    assert [arm.label for arm in arms] == [
        "Cross-entropy · dropout 0.0 · compile none",
        "Cross-entropy · with dropout · compile none",
        "Dice loss · dropout 0.0 · compile none",
        "Dice loss · with dropout · compile none",
        "SMP's U-Net",
        "wide",
    ]
    assert arms[0].levels == {"train.loss": "ce", "model.dropout": 0.0, "train.compile": "none"}


def test_names_are_in_the_plan_and_in_no_key(tmp_path):
    labels = {"levels": LEVELS, "classes": {"sky": "Sky"}, "datasets": {"scenes": "Scenes"}}
    keys = []
    for given in (None, labels):
        described = experiment(given)
        trials = plan.plan(described, tmp_path)
        keys.append([trial.key for trial in trials])
        stored = plan.describe(described, trials, "run", folder=tmp_path)
    assert keys[0] == keys[1]
    assert stored.labels.level("model.dropout", 0.5) == "with dropout"
    assert stored.labels.of_classes(["grass", "sky"]) == ("grass", "Sky")
    assert stored.factors == FACTORS


def test_a_named_level_may_be_called_otherwise():
    labels = {"levels": {"recipe": {"CE": "The usual recipe"}}}
    arm = design.arms(experiment(labels, factors={"recipe": [CE]}))[0]
    assert (arm.label, arm.levels) == ("The usual recipe", {"recipe": "CE"})


BROKEN = {
    "no such factor": ({"levels": {"train.los": {"ce": "x"}}}, "labels.levels.train.los: no such factor; did you mean 'train.loss'?"),
    "no such level": ({"levels": {"train.loss": {"dise": "x"}}}, "labels.levels.train.loss: 'dise' is no level of it; did you mean 'dice'?"),
    "two of one name": ({"levels": {"train.loss": {"ce": "x", "dice": "x"}}}, "two levels would be called 'x'"),
    "the name of another": ({"levels": {"train.loss": {"ce": "dice"}}}, "two levels would be called 'dice'"),
    "blank": ({"levels": {"train.loss": {"ce": " "}}}, "labels.levels: a name of one line is wanted (got ' ')"),
    "two lines": ({"classes": {"sky": "a\nb"}}, r"labels.classes: a name of one line is wanted (got 'a\nb')"),
    "no text": ({"levels": {"train.loss": {"ce": 3}}}, "labels.levels.train.loss.ce: Input should be a valid string (got 3)"),
    "unknown kind": ({"arms": {}}, "labels: unknown key 'arms'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_names_is_said(case):
    labels, expected = BROKEN[case]
    with pytest.raises(UserError) as caught:
        experiment(labels)
    (line,) = map(str, caught.value.each())
    assert line.startswith("experiment: ")
    assert expected in line


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"classes": {"skye": "Sky"}}, "labels.classes: the data have no class 'skye'; did you mean 'sky'?"),
        ({"classes": {"sky": "grass"}}, "labels.classes: two would be called 'grass'"),
        ({"datasets": {"cells": "x"}}, "labels.datasets: the experiment has no dataset 'cells'; known: scenes"),
    ],
)  # fmt: skip
def test_names_of_data_are_checked_with_the_data(tmp_path, labels, expected):
    with pytest.raises(UserError) as caught:
        plan.plan(experiment(labels), tmp_path)
    assert str(caught.value) == f"small: {expected}"
