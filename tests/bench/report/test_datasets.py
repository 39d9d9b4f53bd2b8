"""The page of an experiment on several datasets."""

import pytest

from bench.analysis.analysis import load
from bench.cli.terminal import experiments
from bench.errors import UserError
from bench.report import write
from bench.report.content.datasets import Panel, agreement, groups, verdict_table
from bench.store.plans import Block

FOUR = {"train.loss": ["ce", "dice", "focal", "lovasz"]}
ALL = ("cells", "scenes")


def scores(*means):
    """Return scores of four arms, the first the baseline's, that differ by these from it."""
    steps = (0.0, 0.01, 0.004)
    return {
        (arm, seed): 0.3 + mean + (0.6 + 0.1 * arm * (-1) ** seed) * steps[seed]
        for arm, mean in enumerate((0.0, *means))
        for seed in range(3)
    }


@pytest.fixture
def two(make_store):
    """Return a function: datasets, differences on each → stores of an experiment on them."""

    def get(*means, datasets=ALL):
        stores = []
        for dataset, own in zip(datasets, means, strict=False):
            store = make_store(
                f"results/two.{dataset}", factors=FOUR, values=scores(*own), images=0
            )
            block = Block(experiment="two", dataset=dataset, datasets=datasets)
            plan = store.read_plan()
            store.write_plan(plan.model_copy(update={"name": f"two.{dataset}", "block": block}))
            stores.append(store)
        return stores

    return get


def panels(stores):
    found = [load(store) for store in stores]
    return groups(Panel(one.plan.block, one, "") for one in found)


def test_the_sentences_say_where_verdicts_agree(two):
    (group,) = panels(two((0.2, 0.2, 0.0), (0.2, -0.2, 0.2)))
    same, contrary, partly = agreement(group)
    assert same == "Verdicts agree on both datasets: train.loss = dice (better)."
    assert contrary.endswith(": train.loss = focal (better on cells, worse on scenes).")
    assert "train.loss = lovasz (inconclusive on cells, better on scenes). A dataset" in partly
    rows = {row[0]: row[1:] for row in verdict_table(group).text()}
    assert rows["train.loss = focal"] == ("+19.96 better", "−20.04 worse")
    assert verdict_table(group).headings[1:] == ("cells, points", "scenes, points")


def test_open_comparisons_and_missing_datasets_are_named(two):
    stores = two((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), datasets=("cells", "scenes", "msrc_v2"))
    (group,) = panels(reversed(stores))
    assert [one.block.dataset for one in group] == ["cells", "scenes"]
    *_, undecided, missing = agreement(group)
    assert undecided.startswith("Inconclusive on both datasets: train.loss = dice, train.loss =")
    assert missing == "Not measured yet: msrc_v2."
    assert groups(group[:1]) == []


def test_a_report_of_all_writes_their_page_too(two, without_figures):
    stores = two((0.2, 0.2, 0.0), (0.2, -0.2, 0.2))
    results = stores[0].folder.parent
    assert [store.folder.name for store in experiments(results, ["two"])] == [
        "two.cells",
        "two.scenes",
    ]
    with pytest.raises(UserError, match="no experiment 'twos'"):
        experiments(results, ["twos"])
    written = list(write.write_all(stores, ("html", "md")))
    assert written[-1] == results / "two.html"
    page, text = ((results / f"two.{end}").read_text("utf-8") for end in ("html", "md"))
    for shown in (page, text):
        assert "Verdicts contradict each other" in shown
        assert "Nothing is pooled over datasets." in shown
    assert 'href="two.cells/report/report.html"' in page
    assert text.count("| train.loss = dice |") == 3  # of all, and of each
    assert "part of two on cells" in (stores[0].folder / "report/report.md").read_text("utf-8")
    *_, index = write.write_all(stores[:1], ("html",), index=results)
    assert index.read_text("utf-8").count('part of <a href="two.html">two</a>') == 2
    (results / "two.html").unlink()
    *_, index = write.write_all(stores[:1], ("html",), index=results)
    assert not (results / "two.html").exists()
    assert "part of" not in index.read_text("utf-8")
