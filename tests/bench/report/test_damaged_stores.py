"""Reports of stores that are unfinished or damaged: each is made, and says what is missing."""

import csv
import re

import pytest

from bench.analysis.analysis import load
from bench.errors import UserError
from bench.report import write
from bench.report.document import Document
from bench.store.frame import DONE
from tests.bench import damage

TWO = {"train.loss": ["ce", "dice"], "model.upsampling": ["bilinear", "transposed"]}
DESIGNS = {
    "one factor": ({}, 2),
    "full factorial": ({"factors": TWO}, 4),
    "one at a time": ({"factors": TWO, "design": "one_at_a_time"}, 3),
}
MEASURES = ("accuracy", "throughput")
DRAWN = ("one trial missing", "an arm not run", "only one trial done")
# Which comparisons there are depends on the design and not on what is measured.
CASES = [
    *(("accuracy", design, what) for design in DESIGNS for what in damage.GAPS),
    *((measure, "full factorial", what) for measure in MEASURES for what in damage.STATES),
    *(("throughput", "full factorial", what) for what in damage.GAPS),
]
SMALL = {"seeds": damage.SEEDS, "classes": 3, "images": 1}

by_measure = pytest.mark.parametrize("measure", MEASURES)


@pytest.fixture
def unfinished(make_store):
    """Return a function: measure, design and what happened → the store."""

    def make(measure, design, what="complete", **options):
        shape, arms = DESIGNS[design]
        failures = damage.UNFINISHED[what](arms)
        return make_store(measure=measure, failures=failures, **SMALL, **shape, **options)

    return make


def written(store):
    """Write a report in every format; return format → text, and the rows of trials.csv."""
    folder = write.write(store).parent
    texts = {kind: (folder / f"report.{kind}").read_text("utf-8") for kind in ("md", "html", "tex")}
    with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
        return texts, {row["key"]: row for row in csv.DictReader(file)}


def check(store):
    """Check that every format is made, and says of each trial whether it has a result."""
    trials = load(store).trials
    texts, rows = written(store)
    assert {key: row["status"] for key, row in rows.items()} == dict(
        zip(trials["key"], trials["status"], strict=True)
    )
    without = trials[trials["status"] != DONE]
    counted = f"{len(without)} of {len(trials)} trials"
    for kind in ("md", "html"):
        assert (counted in texts[kind]) == bool(len(without)), kind
    for kind, text in texts.items():
        # Where an arm lacks all its trials, or several, they are counted and not named one by one.
        assert all(status in text for status in set(without["status"])), kind
        assert not re.search(r"\b(nan|None|NaT|inf)\b", text), kind
    for name in ("md", "html"):
        for reason in set(without["reason"].dropna()):
            assert reason in texts[name]
    return texts, rows


@pytest.mark.parametrize(("measure", "design", "what"), CASES)
def test_a_report_says_which_trials_have_no_result(
    unfinished, without_figures, measure, design, what
):
    check(unfinished(measure, design, what))


@pytest.mark.parametrize("what", DRAWN)
@pytest.mark.parametrize(
    ("measure", "design"),
    [*(("accuracy", design) for design in DESIGNS), ("throughput", "full factorial")],
)
def test_every_figure_is_drawn_of_what_there_is(unfinished, measure, design, what):
    document = Document(load(unfinished(measure, design, what)))
    assert all(figure.get_label() for figure in document.figures.values())


def test_a_report_with_its_figures_is_written(unfinished):
    texts, _ = check(unfinished("accuracy", "full factorial", "an arm not run"))
    assert "](figures/" in texts["md"]


@by_measure
def test_scores_are_those_that_have_a_label(unfinished, measure, without_figures):
    """Numbers of classes are counts: with a trial missing, whole numbers are not whole any more."""
    found = load(unfinished(measure, "one factor", "one trial missing"))
    assert not [name for name in found.scores if name.startswith("classes_")]


@pytest.mark.parametrize("harm", damage.HARM)
@pytest.mark.parametrize(
    ("measure", "kind"),
    [(measure, kind) for measure in MEASURES for kind in ("record", "details")]
    + [("accuracy", "picture")],
)
def test_a_damaged_file_is_named_and_the_rest_is_told(
    unfinished, without_figures, measure, kind, harm
):
    store = unfinished(measure, "one factor", "one oom")
    path = damage.FILES[kind](store, "k0000s0")
    damage.HARM[harm](path)
    texts, rows = check(store)
    gone = harm == "removed" and kind != "picture"  # as if it had never been written
    for text in (texts["md"], texts["html"]):
        assert (path.name in text) != gone
    assert rows["k0000s0"]["status"] == ("not run" if kind == "record" else DONE)
    assert [rows[f"k0000s{seed}"]["status"] for seed in (1, 2)] == [DONE, DONE]


@by_measure
def test_everything_damaged_is_still_a_report(unfinished, without_figures, measure):
    store = unfinished(measure, "full factorial")
    for path in [*store.folder.glob("trials/*"), *store.folder.glob("details/*")]:
        damage.truncate(path)
    check(store)


@by_measure
def test_a_damaged_plan_is_one_line(unfinished, measure):
    store = unfinished(measure, "one factor")
    damage.truncate(store.folder / "plan.json")
    with pytest.raises(UserError, match=r"plan\.json: damaged"):
        write.write(store)


@by_measure
def test_a_report_is_made_while_a_run_goes_on(unfinished, without_figures, measure):
    store = unfinished(measure, "full factorial", "a seed not run")
    keys = [trial.key for trial in store.read_plan().trials if trial.seed == 1]
    with damage.running(store, keys):
        _, rows = check(store)
    assert {rows[key]["status"] for key in keys} == {"not run"}


@by_measure
def test_a_result_of_other_code_is_told_apart(unfinished, without_figures, measure):
    store = unfinished(measure, "one factor", "one failed")
    damage.take_as_stale(store, "k0000s1")
    texts, rows = check(store)
    assert rows["k0000s1older"]["status"] == DONE
    assert "--accept-stale" in texts["md"]
    assert "--accept-stale" in texts["html"]
