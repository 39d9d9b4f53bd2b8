"""Levels that set several things: what arms, plans and messages make of them."""

import pytest

from bench.errors import UserError
from bench.experiment import config, design, plan

SCENES = {"name": "scenes", "train": 4, "val": 2, "test": 1, "size": 48}
DICE = {"name": "Dice at 1e-3", "train.loss": "dice", "train.learning_rate": 1e-3}
CE = {"name": "CE at 1e-2", "train.loss": "ce", "train.learning_rate": 1e-2}
NAMES = ["Dice at 1e-3", "CE at 1e-2"]


def experiment(**changes):
    values = {
        "name": "small",
        "data": SCENES,
        "model": {"base_channels": 4, "depth": 2},
        "train": {"crop_size": 32, "schedule": {"step_size": 3}},
        "factors": {"recipe": [DICE, CE]},
        "seeds": 1,
    }
    return config.from_mapping({**values, **changes})


def chosen(arm):
    train = arm.settings.train
    return train.loss, train.learning_rate


def test_a_named_level_sets_several_settings():
    arms = design.arms(experiment(factors={"recipe": [DICE, CE], "train.epochs": [1, 2]}))
    assert [arm.label for arm in arms] == [f"{name} · epochs {n}" for name in NAMES for n in (1, 2)]
    assert arms[0].levels == {"recipe": "Dice at 1e-3", "train.epochs": 1}
    assert [chosen(arm) for arm in arms[::2]] == [("dice", 1e-3), ("ce", 1e-2)]


def test_sections_in_a_named_level_are_laid_over_those_of_the_base():
    poly = {"name": "poly", "train": {"schedule": {"name": "poly"}, "epochs": 5}}
    (arm,) = design.arms(experiment(factors={"recipe": [poly]}))
    train = arm.settings.train
    assert (train.schedule.name, train.schedule.step_size, train.epochs) == ("poly", 3, 5)
    assert train.crop_size == 32


def test_a_whole_section_as_a_level_is_laid_over_that_of_the_base():
    levels = [{"name": "unet"}, {"name": "unet", "upsampling": "bilinear"}]
    arms = design.arms(experiment(factors={"model": levels}))
    assert [arm.settings.model.base_channels for arm in arms] == [4, 4]
    assert [arm.settings.model.upsampling for arm in arms] == ["transposed", "bilinear"]


def test_data_of_another_name_take_nothing_over():
    arms = design.arms(experiment(factors={"data": [{"seed": 5}, {"name": "cells"}]}))
    scenes, cells = (arm.settings.data for arm in arms)
    assert (scenes.name, scenes.size, scenes.seed) == ("scenes", 48, 5)
    assert cells == type(cells)()


def test_options_as_a_level_are_replaced_whole():
    train = {"crop_size": 32, "loss": "dice", "loss_options": {"smooth": 2.0}}
    arms = design.arms(experiment(train=train, factors={"train.loss_options": [{}, {"smooth": 1}]}))
    assert [arm.settings.train.loss_options for arm in arms] == [{}, {"smooth": 1}]


def test_baseline_exclude_and_include_name_the_levels():
    described = experiment(
        factors={"recipe": [DICE, CE], "train.epochs": [1, 2]},
        baseline={"recipe": "CE at 1e-2", "train.epochs": 2},
        exclude=[{"recipe": "Dice at 1e-3", "train.epochs": 1}],
        include=[
            {"name": "Dice, slowly", "recipe": "Dice at 1e-3", "train.learning_rate": 1e-4},
            {"train.optimizer": "sgd"},
        ],
    )
    arms = {arm.label: arm for arm in design.arms(described)}
    assert list(arms) == [
        "Dice at 1e-3 · epochs 2",
        "CE at 1e-2 · epochs 1",
        "CE at 1e-2 · epochs 2",
        "Dice, slowly",
        "sgd",
    ]
    assert chosen(arms["Dice, slowly"]) == ("dice", 1e-4)
    assert arms["Dice, slowly"].levels == {"recipe": "Dice at 1e-3", "train.learning_rate": 1e-4}
    assert chosen(arms["sgd"]) == ("ce", 1e-2)
    assert arms["sgd"].settings.train.epochs == 2


def test_one_at_a_time_begins_with_the_first_level_unless_a_baseline_says_otherwise():
    factors = {"recipe": [DICE, CE], "train.epochs": [1, 2]}
    arms = design.arms(experiment(factors=factors, design="one_at_a_time"))
    assert [arm.label for arm in arms] == ["Dice at 1e-3 · epochs 1", "CE at 1e-2", "epochs 2"]


def test_a_plan_says_what_the_levels_stand_for(tmp_path):
    described = experiment()
    stored = plan.describe(described, plan.plan(described, tmp_path), "run", folder=tmp_path)
    assert stored.factors == {"recipe": NAMES}
    assert stored.baseline == {"recipe": "Dice at 1e-3"}
    assert [trial.arm for trial in stored.trials] == [{"recipe": name} for name in NAMES]
    without = {one["name"]: {k: v for k, v in one.items() if k != "name"} for one in (DICE, CE)}
    assert stored.named_levels == {"recipe": without}


def test_the_name_of_a_level_is_no_part_of_a_key(tmp_path):
    def keys(described):
        return [trial.key for trial in plan.plan(described, tmp_path)]

    train = {"crop_size": 32, "schedule": {"step_size": 3}, "learning_rate": 1e-3}
    single = experiment(factors={"train.loss": ["dice"]}, train=train)
    renamed = experiment(factors={"how": [{**DICE, "name": "D"}, {**CE, "name": "C"}]})
    assert keys(renamed) == keys(experiment())
    assert keys(single) == keys(experiment())[:1]


BROKEN = {
    "no name": ([{"train.loss": "ce"}], "factors.recipe: each level wants a name in text: {name:"),
    "a number as name": ([{**CE, "name": 3}], "factors.recipe: each level wants a name in text (got 3)"),
    "nothing but a name": ([{"name": "CE"}], "factors.recipe: CE: sets nothing"),
    "a name twice": ([CE, {**DICE, "name": "CE at 1e-2"}], "level 'CE at 1e-2' is given twice"),
    "an unknown setting": (
        [{"name": "CE", "train.los": "ce"}],
        "factors.recipe: CE: 'train.los' is no setting; did you mean 'train.loss'?",
    ),
    "a short name": (
        [{"name": "CE", "lr": 1}], "factors.recipe: CE: 'lr' is no setting; did you mean 'train.learning_rate'?",
    ),
    "a wrong value": (
        [{"name": "CE", "train.loss": "cee"}], "factors.recipe: CE: train.loss: unknown loss 'cee'; did you mean 'ce'?",
    ),
    "a wrong key of a section": (
        [{"name": "CE", "train": {"los": "ce"}}], "CE: train: unknown key 'los'; did you mean 'loss'?",
    ),
    "a setting twice": (
        [{"name": "CE", "train": {"loss": "ce"}, "train.loss": "dice"}], "CE: sets train.loss twice",
    ),
    "no mapping": (["CE"], "factors: 'recipe' is no setting; several settings together are levels such as"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_with_a_named_level_is_said(case):
    levels, expected = BROKEN[case]
    with pytest.raises(UserError) as caught:
        experiment(factors={"recipe": levels})
    (line,) = map(str, caught.value.each())
    assert line.startswith("experiment: factors")
    assert expected in line


@pytest.mark.parametrize(
    ("factors", "both"),
    [
        ({"recipe": [DICE, CE], "train.loss": ["ce", "dice"]}, "train.loss"),
        ({"train": [{"epochs": 3}], "train.epochs": [1]}, "train.epochs"),
        ({"train.schedule": [{"gamma": 0.5}], "recipe": [{"name": "a", "train": {"schedule": {"gamma": 0.2}}}]},
         "train.schedule.gamma"),
        ({"data": [{"name": "cells"}], "data.seed": [1, 2]}, "data.seed"),
    ],
)  # fmt: skip
def test_two_factors_do_not_set_the_same(factors, both):
    one, other = factors
    with pytest.raises(UserError) as caught:
        experiment(factors=factors)
    expected = f"factors.{other}: sets {both}, which factors.{one} sets too; leave it to one"
    assert str(caught.value) == f"experiment: {expected}"


def test_two_factors_may_set_parts_of_one_section():
    factors = {
        "train.schedule": [{"gamma": 0.5}],
        "train.schedule.step_size": [1, 2],
        "train.loss": ["ce"],
    }
    found = {
        arm.settings.train.schedule.step_size for arm in design.arms(experiment(factors=factors))
    }
    assert found == {1, 2}


def test_a_level_of_a_named_factor_that_there_is_not():
    with pytest.raises(UserError) as caught:
        experiment(baseline={"recipe": "Dice"}, include=[{"recipe": "CE", "train.epochs": 3}])
    listed = "is no level of it; known: Dice at 1e-3, CE at 1e-2"
    assert [str(one) for one in caught.value.each()] == [
        f"experiment: baseline.recipe: 'Dice' {listed}",
        f"experiment: include.recipe: 'CE' {listed}",
    ]


def test_arms_that_fail_for_the_same_reason_are_said_once():
    factors = {"train.crop_size": [44, 45], "recipe": [DICE, CE]}
    valid = {"base_channels": 4, "padding": "valid", "depth": 2}
    described = experiment(factors=factors, model=valid, train={"crop_size": 44})
    with pytest.raises(UserError) as caught:
        design.arms(described)
    (line,) = map(str, caught.value.each())
    assert line.startswith("small: arm 'crop_size 45 · Dice at 1e-3' (and 1 more): train.crop_size")


def test_a_level_that_fits_only_with_another_is_no_mistake():
    factors = {"model.padding": ["valid"], "train.crop_size": [44, 48]}
    assert (
        len(
            design.arms(
                experiment(
                    factors=factors,
                    train={"crop_size": 48},
                    exclude=[{"train.crop_size": 48}],
                    baseline={"model.padding": "valid", "train.crop_size": 44},
                )
            )
        )
        == 1
    )
