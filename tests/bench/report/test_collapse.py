"""What reports say of runs that did not train."""

import re

import pandas as pd
import pytest

from bench.analysis.analysis import load
from bench.report import write
from bench.report.content import collapse
from bench.report.content.prose import say

FALLEN = {(1, 0): 0.01, (1, 2): 0.01}


@pytest.fixture
def results(make_store):
    return load(make_store(images=0, seeds=range(5), values=FALLEN, failures={(1, 4): "diverged"}))


def test_the_first_warning_counts_them(results):
    assert say(results, "warnings")[0] == (
        "3 of 5 runs with dice did not train (95 % bounds 15 to 95 %); none of 5 with another arm "
        "(95 % bounds 0 to 52 %). Such a run makes the spread so large that differences between the "
        "others may go unnoticed: see “Runs that did not train”."
    )


def test_its_sentence_ends_where_runs_of_every_arm_collapsed(make_store):
    fallen = {(arm, 0): 0.01 for arm in range(2)}
    first, *_ = say(load(make_store(images=0, seeds=range(3), values=fallen)), "warnings")
    assert re.match(
        r"1 of 3 runs with ce collapsed \([^)]*\); 1 of 3 runs with dice collapsed \([^)]*\)\. Such",
        first,
    )


def test_tables(results):
    ce, dice = collapse.arm_table(results).text()
    assert ce[:3] == ("ce", "0 of 5", "0 to 52")
    assert dice == ("dice", "3 of 5", "15 to 95", "2", "1", "0, 2, 4")
    ((name, level, baseline, p),) = collapse.test_table(results).text()
    assert (name, level, baseline, p) == ("train.loss = dice", "3 of 5", "0 of 5", "0.167")
    ((name, *_, seeds),) = collapse.trained_table(results).text()
    assert (name, seeds) == ("train.loss = dice", "2")


def test_every_format_has_them(results, tmp_path):
    write.write(results.store, ("html", "md", "csv"), output=tmp_path)
    folder = tmp_path / results.store.folder.name / "report"
    for name in ("report.html", "report.md"):
        assert "Means of the runs that trained" in (folder / name).read_text()
    table = pd.read_csv(folder / "collapse.csv")
    assert table["collapsed"].tolist() == [0, 2]
    assert table["diverged"].tolist() == [0, 1]
    assert pd.read_csv(folder / "collapse_effects.csv")["level_failed"].tolist() == [3]


def test_where_all_trained_no_word_is_said(document, page_of, example, tmp_path):
    results = document("two arms").results
    assert say(results, "collapse") == say(results, "trained") == []
    assert not collapse.arm_table(results).rows
    assert "did not train" not in page_of("two arms")
    write.write(results.store, ("csv",), output=tmp_path)
    assert not list(tmp_path.rglob("collapse*"))


def test_equivalent_says_how_many_may_still_not_train(document):
    notes = " ".join(say(document("a margin").results, "effects"))
    assert "only where all runs trained; up to 71 % of further runs may not (95 % bound)" in notes
    assert "further runs may not" not in " ".join(say(document("two arms").results, "effects"))
