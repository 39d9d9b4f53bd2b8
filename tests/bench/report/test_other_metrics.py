"""Comparisons by other metrics in reports."""

import pandas as pd
import pytest

from bench.analysis.analysis import load
from bench.report import write
from bench.report.content.other_metrics import metric_table
from bench.report.content.prose import say


@pytest.fixture
def results(make_store):
    """Dice is better by mean IoU and worse by pixel accuracy."""
    values = {(a, s): 0.4 + 0.2 * a + 0.001 * (s - a * s % 2) for a in (0, 1) for s in range(4)}
    found = load(make_store(images=0, seeds=range(4), values=values))
    trials = found.trials
    trials["pixel_accuracy"] = 0.9 - trials["mean_iou"]
    return found


def test_the_opposite_verdict_is_a_warning(results):
    assert say(results, "warnings")[0] == (
        "train.loss = dice is better by mean IoU (+19.95 points), and worse by pixel accuracy "
        "(−19.95 points): see “The same comparisons by other metrics”."
    )


def test_the_table_has_the_experiments_metric_first(results):
    content = metric_table(results)
    assert content.headings[1:3] == ("mean IoU, points", "pixel accuracy, points")
    assert content.text()[0][:3] == ("train.loss = dice", "+19.95 better", "−19.95 worse")


def test_csv(document, tmp_path):
    results = document("seven arms").results
    write.write(results.store, ("csv",), output=tmp_path)
    table = pd.read_csv(*tmp_path.rglob("comparisons_by_metric.csv"))
    own = table[table["metric"] == results.metric]
    comparisons = pd.read_csv(*tmp_path.rglob("comparisons.csv"))
    for name in ("level", "difference", "low", "p_corrected", "verdict"):
        assert own[name].fillna("").tolist() == comparisons[name].fillna("").tolist()


@pytest.mark.parametrize("name", ["two arms", "speeds", "no baseline"])
def test_nothing_is_warned_of_where_metrics_agree(document, name):
    results = document(name).results
    assert not [line for line in say(results, "warnings") if "other metrics" in line]


def test_speeds_have_no_table(page_of):
    assert "by other metrics" not in page_of("speeds")
    assert "by other metrics" in page_of("two arms")
