"""What reports say of numbers of seeds, and of differences that look too large."""

import math

import pytest

from bench.analysis.analysis import load
from bench.report import write
from bench.report.content import planning, words
from bench.report.content.prose import say
from bench.report.tables.statistics import comparisons
from tests.bench.analysis.effects.made_up import SIX, scores

FOLD = "How many seeds decide"


@pytest.fixture
def found(make_store):
    """Return a function: options of a store → its results."""
    return lambda **options: load(make_store(images=0, **options))


def pages(results, folder):
    """Return the report as Markdown and as a page."""
    write.write(results.store, ("md", "html"), output=folder)
    return [path.read_text(encoding="utf-8") for path in sorted(folder.rglob("report.*"))]


def test_with_a_margin_the_answer_and_a_folded_table_say_how_many_seeds_decide(found):
    results = found(factors=SIX, values=scores(6, 3), equivalence=0.006)
    seeds = [plan.seeds.seeds for plan in results.planning.values()]
    assert f"deciding on ±0.6 points takes {max(seeds)} seeds in a new experiment." in " ".join(
        say(results, "answer")
    )
    content = planning.seeds_table(results)
    assert content.headings[:3] == (
        "compared with the baseline",
        "seeds for ±0.6 points",
        "90 % range of seeds",
    )
    assert [int(row[1]) for row in content.text()] == seeds
    one = results.planning["train.loss = dice"]
    ends = [words.effect(results.effects, end, signed=False) for end in one.detectable]
    assert content.text()[0][2:5:2] == (f"{one.seeds.low} to {one.seeds.high}", " to ".join(ends))
    row = comparisons(results).iloc[0]
    assert (row["seeds_to_decide"], row["seeds_to_decide_high"]) == (
        one.seeds.seeds,
        one.seeds.high,
    )
    assert row["detectable_low"] == pytest.approx(one.detectable[0], rel=1e-5)


def test_numbers_above_the_largest_one_that_is_given(found):
    results = found(values=scores(2, 3), equivalence=0.0001)
    assert "takes more than 1,000 seeds in a new" in " ".join(say(results, "answer"))
    assert planning.seeds_table(results).text()[0][1] == "> 1,000"
    assert comparisons(results)["seeds_to_decide"].isna().all()


def test_where_the_error_is_of_runs_that_did_not_train_no_number_is_known(found):
    values = scores(6, 3) | {(5, 2): 0.01}  # dice+ce · transposed
    results = found(factors=SIX, values=values, equivalence=0.002)
    assert [name for name, plan in results.planning.items() if plan.seeds] == ["train.loss = dice"]
    values = scores(4, 3) | {(2, 2): 0.01}  # in an error that all arms share
    options = {"factors": SIX, "design": "one_at_a_time", "values": values, "equivalence": 0.002}
    results = found(folder="pooled", **options)
    assert results.effects.pooled
    assert not [plan for plan in results.planning.values() if plan.seeds]
    assert "seeds in a new experiment" not in " ".join(say(results, "answer"))


def test_without_a_margin_no_number_of_seeds_is_said(found, without_figures, tmp_path):
    results = found(factors=SIX, values=scores(6, 3))
    for text in pages(results, tmp_path):
        assert FOLD not in text
        assert "assurance" not in text
        assert "seeds needed" not in text
    answer = " ".join(say(results, "answer"))
    assert "smaller ones may go undetected" in answer
    assert "Inconclusive: train.loss = dice (" in answer


def test_every_format_has_the_folded_table(found, without_figures, tmp_path):
    results = found(values=scores(2, 3), equivalence=0.002)
    for text in pages(results, tmp_path):
        fold = text[text.index(FOLD) :]
        assert "±0.2" in fold
        assert "(assurance, O" in fold


def test_differences_that_are_probably_too_large_are_a_warning(found):
    results = found(seeds=range(5), values=scores(2, 5, arm1=0.03))
    (said,) = [line for line in say(results, "warnings") if "may well be" in line]
    (plan,) = results.planning.values()
    spread = words.with_unit(results.effects, plan.spread, signed=False)
    assert said == (
        "The difference found for train.loss = dice may well be larger than the true one. So few "
        "seeds (5) find a small difference only where chance makes it look larger: one as large "
        f"as the standard deviation between runs ({spread}) looks 1.6 times as large on average "
        "when it is found."
    )
    assert comparisons(results)["exaggeration"][0] == pytest.approx(plan.exaggeration, rel=1e-5)
    clear = found(folder="clear", seeds=range(5), values=scores(2, 5, arm1=0.3))
    assert not [line for line in say(clear, "warnings") if "may well be" in line]
    assert math.isnan(comparisons(clear)["exaggeration"][0])


def test_of_speeds_a_ratio_is_probably_too_far_from_1(found):
    speeds = {(arm, s): 100 * (1 + v) for (arm, s), v in scores(2, 5, arm1=0.03).items()}
    results = found(measure="throughput", metric="milliseconds", seeds=range(5), values=speeds)
    (said,) = [line for line in say(results, "warnings") if "may well be" in line]
    assert said.startswith("The ratio found for train.loss = dice may well be farther from 1")
    assert "1.6 times as far from 1 on average" in said


def test_how_much_runs_may_vary_beyond_what_they_did_is_said(found):
    results = found(values=scores(2, 3))
    said = " ".join(say(results, "effects"))
    assert "They may vary 0.6 to 4.4 times as much (90 % interval)" in said  # χ² of 2 degrees
