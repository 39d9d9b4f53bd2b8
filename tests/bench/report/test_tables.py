"""The tables against numbers worked out by hand, and what every table owes every store."""

import math

import numpy as np
import pandas as pd
import pytest

from bench.analysis import analysis
from bench.errors import UserError
from bench.report.tables import registry
from bench.report.tables.registry import TABLES
from bench.store.folder import Store

SIX = {"train.loss": ["ce", "dice", "dice+ce"], "model.upsampling": ["bilinear", "transposed"]}


def test_arms_by_hand(make_store):
    values = {(0, 0): 0.2, (0, 1): 0.3, (0, 2): 0.7, (1, 0): 0.5, (1, 2): 0.6}
    results = analysis.load(make_store(values=values, failures={(1, 1): "oom"}))
    table = registry.arms(results).set_index("arm")
    assert list(table.index) == ["ce", "dice"]
    assert table["mean_iou_mean"].tolist() == pytest.approx([0.4, 0.55])
    # sqrt(((.2-.4)^2 + (.3-.4)^2 + (.7-.4)^2) / 2) and sqrt((.05^2 + .05^2) / 1)
    assert table["mean_iou_sd"].tolist() == pytest.approx([math.sqrt(0.07), math.sqrt(0.005)])
    assert table["n"].tolist() == [3, 2]
    assert table["failed"].tolist() == [0, 1]
    assert table["not_run"].tolist() == [0, 0]
    assert table["without_result"].tolist() == ["", "seed 1 oom"]
    assert table["baseline"].tolist() == [True, False]
    assert table["seconds_mean"].tolist() == pytest.approx([10.25, 11.25])  # 10 + arm + seed / 4
    assert table["parameters"].tolist() == [123456, 123456]


def test_levels_by_hand(make_store):
    values = {(arm, seed): arm / 10 + seed / 100 for arm in range(7) for seed in range(2)}
    store = make_store(
        factors=SIX, seeds=(0, 1), values=values, include=({"model.name": "smp_unet"},)
    )
    table = registry.levels(analysis.load(store)).set_index(["factor", "level"])
    # Arms 0..5 are ce/bilinear, ce/transposed, dice/bilinear, ...; arm 6 belongs to no level.
    assert table["mean"].to_dict() == pytest.approx(
        {
            ("train.loss", "ce"): 0.055,
            ("train.loss", "dice"): 0.255,
            ("train.loss", "dice+ce"): 0.455,
            ("model.upsampling", "bilinear"): 0.205,
            ("model.upsampling", "transposed"): 0.305,
        }
    )
    assert table.loc[("train.loss", "ce"), "sd"] == pytest.approx(
        np.std([0.0, 0.01, 0.1, 0.11], ddof=1)
    )
    assert table["n"].tolist() == [4, 4, 4, 6, 6]
    assert table["baseline"].tolist() == [True, False, False, True, False]
    assert table["balanced"].all()


def test_levels_of_a_one_at_a_time_design_leave_the_other_factors_at_the_baseline(make_store):
    values = {(arm, seed): arm / 10 for arm in range(4) for seed in range(3)}
    results = analysis.load(make_store(factors=SIX, design="one_at_a_time", values=values))
    table = registry.levels(results).set_index(["factor", "level"])
    # Arms: the baseline, dice, dice+ce, transposed.
    assert table["mean"].to_dict() == pytest.approx(
        {
            ("train.loss", "ce"): 0.0,
            ("train.loss", "dice"): 0.1,
            ("train.loss", "dice+ce"): 0.2,
            ("model.upsampling", "bilinear"): 0.0,
            ("model.upsampling", "transposed"): 0.3,
        }
    )
    assert (table["n"] == 3).all()


def test_a_missing_cell_unbalances_the_other_factors_levels(make_store):
    store = make_store(factors=SIX, failures={(2, s): "failed" for s in range(3)})
    table = registry.levels(analysis.load(store)).set_index(["factor", "level"])
    assert not table["balanced"].any()
    assert table.loc[("train.loss", "dice"), "without_result"] == (
        "dice · bilinear seed 0 failed, dice · bilinear seed 1 failed, "
        "dice · bilinear seed 2 failed"
    )


def test_a_whole_missing_level_leaves_the_other_factor_balanced(make_store):
    store = make_store(factors=SIX, failures={(a, s): "oom" for a in (2, 3) for s in range(3)})
    results = analysis.load(store)
    assert registry.is_balanced(results, "model.upsampling")
    assert not registry.is_balanced(results, "train.loss")


def test_classes_against_the_records(make_store):
    results = analysis.load(make_store(failures={(0, 1): "failed"}))
    table = registry.per_class(results).set_index(["arm", "class"])
    iou = [
        record.result.metrics["iou"]
        for record in results.records.values()
        if record.label == "ce" and record.status == "done"
    ]
    names = list(results.palette)
    assert len(iou) == 2
    assert table.loc["ce", "iou_mean"].tolist() == pytest.approx(
        [np.nan if a is None else (a + b) / 2 for a, b in zip(*iou, strict=True)], nan_ok=True
    )
    assert table.loc[("ce", names[0]), "n"] == 2
    assert table.loc[("ce", names[5]), "n"] == 0  # absent: no IoU, which is not 0
    assert math.isnan(table.loc[("ce", names[5]), "iou_mean"])
    assert (table["trials"] == 3).all()


def test_every_planned_trial_has_a_row_with_all_its_scores(example):
    results = analysis.load(example("seven arms"))
    table = registry.trials(results).set_index("key")
    assert list(table.index) == [trial.key for trial in results.plan.trials]
    for key, record in results.records.items():
        row = table.loc[key]
        assert row["status"] == record.status
        for name, level in record.arm.items():
            assert row[name] == level
        if record.status != "done":
            assert row["reason"] == record.reason
            continue
        scores = record.result.metrics
        for name in ("mean_iou", "classes_averaged", "pixel_accuracy", "frequency_weighted_iou"):
            assert row[name] == scores[name]
        for name in ("iou", "dice", "precision", "recall"):
            for label, value in zip(record.result.classes, scores[name], strict=True):
                stored = row[f"{name}.{label}"]
                assert math.isnan(stored) if value is None else stored == value


@pytest.mark.parametrize("name", ["trials", "arms", "levels"])
def test_no_trial_without_result_is_dropped(example, name):
    table = TABLES[name](analysis.load(example("seven arms"))).to_csv()
    for word in ("oom", "diverged", "not run"):
        assert word in table


@pytest.fixture(scope="module")
def read_twice(every_store):
    return analysis.load(every_store), analysis.load(every_store)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_copes_with_every_store(read_twice, name):
    results, again = read_twice
    table = TABLES[name](results)
    assert len(table.columns) == len(set(table.columns))
    assert table.to_csv() == TABLES[name](again).to_csv()
    if name == "arms":
        assert len(table) == len(results.arms)
        assert table[["n", "failed", "not_run"]].sum().sum() == len(results.plan.trials)


def test_whole_numbers_stay_whole(example):
    table = registry.trials(analysis.load(example("seven arms")))
    assert table["parameters"].dtype == "Int64"
    assert "123456.0" not in table.to_csv()


def test_records_outside_the_plan_are_counted_and_left_alone(make_store):
    store = make_store()
    plan = store.read_plan()
    gone = [trial for trial in plan.trials if trial.label == "dice"]
    left = tuple(trial for trial in plan.trials if trial.label != "dice")
    changed = {"trials": left, "factors": {"train.loss": ["ce"]}}
    store.write_plan(plan.model_copy(update=changed))
    results = analysis.load(store)
    assert results.unplanned == len(gone) == 3
    assert not {trial.key for trial in gone} & results.records.keys()
    assert len(registry.trials(results)) == 3


def test_two_arms_of_one_label_stay_two(make_store):
    store = make_store(factors={"train.clip": [1, "1"]}, seeds=(0,), values={(0, 0): 0.1})
    table = registry.arms(analysis.load(store))
    assert table["arm"].tolist() == ["1", "1 (2)"]
    assert table["mean_iou_mean"][0] == 0.1
    assert table["mean_iou_mean"][1] != 0.1


def test_datasets_of_different_classes_are_joined_by_name(make_store):
    store = make_store()
    first = next(store.records())
    other = first.result.model_copy(update={"classes": ("void", *first.result.classes[1:])})
    store.commit(first.model_copy(update={"result": other}), {})
    results = analysis.load(store)
    assert next(iter(results.palette)) == "void"
    assert len(results.palette) == 9
    assert set(registry.per_class(results)["class"]) == set(results.palette)


def test_a_folder_without_a_plan_is_the_users_mistake(tmp_path):
    with pytest.raises(UserError, match="holds no experiment"):
        analysis.load(Store(tmp_path))


def test_a_damaged_record_is_named(make_store):
    store = make_store(seeds=(0,))
    path = store.folder / "trials" / "k0001s0.json"
    path.write_bytes(path.read_bytes().replace(b"dice", b"mice"))
    results = analysis.load(store)
    (line,) = results.damaged
    assert "k0001s0.json: damaged" in line
    assert list(results.trials["status"]) == ["done", "not run"]


def test_a_score_that_is_undefined_is_no_number(make_store):
    store = make_store(seeds=(0, 1))
    first = next(store.records())
    metrics = {**first.result.metrics, "mean_iou": None}
    result = first.result.model_copy(update={"metrics": metrics})
    store.commit(first.model_copy(update={"result": result}), {})
    table = registry.arms(analysis.load(store))
    assert table["n"].tolist() == [1, 2]
    assert pd.isna(table["mean_iou_sd"][0])


def test_comparisons_hold_what_the_verdict_rests_on(make_store):
    values = {(0, 0): 0.2, (0, 1): 0.3, (0, 2): 0.7, (1, 0): 0.5, (1, 1): 0.4, (1, 2): 0.8}
    results = analysis.load(make_store(values=values, equivalence=0.001))
    (row,) = registry.comparisons(results).to_dict("records")
    # Differences 0.3, 0.1, 0.1: mean 1/6, sd 0.11547, over sqrt(3) 1/15.
    assert row["difference"] == pytest.approx(1 / 6, abs=1e-6)
    assert row["error"] == pytest.approx(1 / 15, abs=1e-6)
    assert row["low"] == pytest.approx(1 / 6 - 4.302653 / 15, abs=1e-6)
    assert (row["df"], row["seeds"], row["cells"]) == (2, 3, 1)
    assert row["seed_differences"] == "0.3 0.1 0.1"
    assert (row["verdict"], row["correction"], row["reason"]) == ("inconclusive", "none", "")
    assert row["p"] == row["p_corrected"]
    assert row["p_equivalent"] > 0.9


def test_comparisons_name_the_margin(example):
    table = registry.comparisons(analysis.load(example("a margin")))
    assert table["verdict"].tolist() == ["equivalent within ±0.02"] * 2


def test_anova_names_its_sources(example):
    table = registry.anova(analysis.load(example("24 arms"))).set_index("source")
    assert table.loc["train.loss × model.upsampling", "df"] == 2
    assert list(table.index[[0, -2, -1]]) == ["seed", "higher", "residual"]
    assert table["ss"].min() >= 0


def test_arms_and_levels_have_intervals(make_store):
    values = {(arm, seed): arm / 10 + seed / 100 for arm in range(6) for seed in range(3)}
    results = analysis.load(make_store(factors=SIX, values=values))
    half = 4.302653 * 0.01 / math.sqrt(3)
    arms = registry.arms(results)
    assert arms["low"].tolist() == pytest.approx([arm / 10 + 0.01 - half for arm in range(6)])
    levels = registry.levels(results).set_index(["factor", "level"])
    row = levels.loc["train.loss", "dice"]
    assert (row["seeds"], row["df"], row["n"]) == (3, 2, 6)
    assert (row["seed_mean"], row["seed_sd"]) == pytest.approx((0.26, 0.01))
    assert row["high"] == pytest.approx(0.26 + half)
    assert row["values"] == "0.2 0.3 0.21 0.31 0.22 0.32"
