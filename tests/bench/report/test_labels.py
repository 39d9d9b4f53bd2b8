"""A report calls levels, classes and datasets as the plan says; nothing else of it changes."""

import re

import pytest

from bench.analysis import analysis
from bench.report import write
from bench.report.tables.registry import TABLES
from bench.store.labels import Labels

LABELS = Labels(
    levels={
        "train.loss": {"ce": "<i>Cross</i>", "dice": "Dice loss"},
        "model.dropout": {0.5: "half"},
    },
    classes={"grass": "Gras & Heu"},
)
FACTORS = {"train.loss": ["ce", "dice"], "model.dropout": [0.0, 0.5]}


@pytest.fixture
def labelled(make_store):
    """Return the same store as it is, and with names for reports."""
    plain = make_store("results/plain", factors=FACTORS)
    store = make_store("results/labelled", factors=FACTORS)
    plan = store.read_plan()
    shown = {"ce": "<i>Cross</i>", "dice": "Dice loss"}
    trials = [
        trial.model_copy(update={"label": " · ".join([shown[trial.arm["train.loss"]], LABELS.level("model.dropout", trial.arm["model.dropout"])])})
        for trial in plan.trials
    ]  # fmt: skip
    dataset = next(store.records()).settings["data"]["name"]
    labels = LABELS.model_copy(update={"datasets": {dataset: "Made-up data"}})
    store.write_plan(plan.model_copy(update={"labels": labels, "trials": tuple(trials)}))
    return plain, store


def called_as_before(table):
    """Return a table with the stored names in place of those for reports."""
    back = {"<i>Cross</i>": "ce", "Dice loss": "dice", "half": "0.5", "Gras & Heu": "grass"}

    def old(value):
        for new, before in back.items() if isinstance(value, str) else ():
            value = value.replace(new, before)
        return value

    return table.map(old).rename(columns=old)


@pytest.mark.parametrize("name", TABLES)
def test_tables_differ_in_nothing_but_the_names(labelled, name):
    plain, store = (TABLES[name](analysis.load(one)) for one in labelled)
    assert called_as_before(store).to_csv() == plain.to_csv()
    if name in ("arms", "levels", "trials", "comparisons"):
        assert "Dice loss" in store.to_csv()


def test_every_format_uses_the_names_as_text(labelled, without_figures):
    _, store = labelled
    list(write.write_all([store], ["html", "md", "tex"], index=None, output=None, damaged=print))
    report = store.folder / "report"
    html = (report / "report.html").read_text(encoding="utf-8")
    assert "&lt;i&gt;Cross&lt;/i&gt;" in html
    assert "<i>Cross" not in html
    assert "Gras &amp; Heu" in html
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "train.loss (" in text
    assert "Dice loss" in text
    assert re.search(r"data\.name \| \w+ \(Made-up data\)", text)
