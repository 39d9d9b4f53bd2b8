"""What reports say and show of how certain the order of the arms is."""

import pandas as pd
import pytest

from bench.analysis.analysis import load
from bench.report import write
from bench.report.content import ranking
from bench.report.content.prose import say
from bench.report.figures.confusion import confusion

THREE = {"train.loss": ["ce", "dice", "focal"]}
VALUES = {
    (arm, seed): mean + 0.01 * seed
    for arm, mean in enumerate((0.50, 0.60, 0.51))
    for seed in range(3)
}


@pytest.fixture
def results(make_store):
    return load(make_store(factors=THREE, values=VALUES, images=0, counted=4))


def test_the_table_holds_the_best_first(results):
    table = ranking.rank_table(results)
    assert table.headings == ("arm", "mean IoU", "best over seeds, %", "ranks over seeds")
    (over,) = results.rankings
    dice, focal, ce = table.text()
    assert dice[:2] == ("dice", "0.610")
    assert dice[2] == f"{100 * over.first('dice'):.0f}"
    assert (dice[3], focal[3], ce[3]) == ("1", "2–3", "2–3")


def test_the_sentences_give_the_share_of_draws(results):
    best, share, *_ = say(results, "ranking")
    assert best == "On average over these runs, dice has the highest mean IoU."
    percent = f"{100 * results.rankings[0].first('dice'):.0f} %"
    assert share.endswith(f"it is the best in {percent}.")
    caption = confusion(results).get_label()
    assert f"best mean score (the best in {percent} of 10,000 draws of further seeds)" in caption


def test_images_have_columns_of_their_own(make_store):
    results = load(make_store(images=0, counted=20))
    assert ranking.rank_table(results).headings[-2:] == ("best over images, %", "ranks over images")
    assert "1,000 draws of other images" in say(results, "ranking")[1]


def test_every_format_has_them(results, tmp_path, without_figures):
    write.write(results.store, ("html", "md", "csv"), output=tmp_path)
    folder = tmp_path / results.store.folder.name / "report"
    for name in ("report.html", "report.md"):
        assert "How certain the order of the arms is" in (folder / name).read_text("utf-8")
    table = pd.read_csv(folder / "ranking.csv")
    assert table["arm"].tolist() == ["dice", "focal", "ce"]
    shares = [sum(map(float, shares.split())) for shares in table["shares"]]
    assert shares == pytest.approx([1, 1, 1], abs=1e-3)
    assert table["first"].sum() == pytest.approx(1)


def test_one_run_of_each_arm_ranks_nothing(make_store):
    results = load(make_store(factors=THREE, values=VALUES, seeds=(0,), images=0, counted=4))
    assert ranking.rank_table(results).rows == ()
    assert "best mean score;" in confusion(results).get_label()
