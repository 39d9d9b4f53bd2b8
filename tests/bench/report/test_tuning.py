"""Reports of tuned arms, whole, unfinished and damaged: every format is made, and says what is so."""

import csv
import itertools
import re
import shutil

import pytest
import yaml

from bench.__main__ import main
from bench.analysis.analysis import load
from bench.report import write
from bench.report.content import tuning
from bench.report.document import Document
from bench.report.experiment_results import ExperimentResults
from bench.report.figures.registry import FIGURES
from bench.store.folder import Store
from tests.bench import damage
from tests.bench import real_trials as measured
from tests.bench.analysis.effects.test_tuned_verdicts import BETTER, WORSE, scored
from tests.bench.tuned_stores import RATE, RATES, REPORTED, SEEDS

SCORE = scored(tuned=BETTER, default=WORSE, common=[0.0, 0.0, 0.0, 0.0])
LOST = {
    "complete": {},
    "one tuning trial missing": {"failures": {(1, 0.03, 101): "not run"}},
    "one diverged": {"failures": {(1, 0.03, 101): "diverged"}},
    "an arm diverged at a rate": {"failures": {(0, 0.03, s): "diverged" for s in SEEDS}},
    "nothing tuned yet": {"ended": False, "failures": {(1, 0.03, 101): "not run"}},
    "nothing measured": {
        "ended": False,
        "failures": {
            (a, rate, s): "not run" for a in (0, 1) for rate in RATES for s in SEEDS + REPORTED
        },
    },
    "no reported seed yet": {
        "failures": {(a, r, s): "not run" for a in (0, 1) for r in RATES for s in REPORTED}
    },
    "at the edge": {"edges": (1,)},
    "one seed of tuning": {"seeds": (100,)},
    "another setting": {"setting": "train.weight_decay"},
    "on validation images": {"split": "val"},
}


def written(store):
    folder = write.write(store).parent
    return {kind: (folder / f"report.{kind}").read_text("utf-8") for kind in ("md", "html", "tex")}


@pytest.mark.parametrize("what", LOST)
def test_every_format_is_made_of_what_there_is(make_tuned, without_figures, what):
    store = make_tuned(score=SCORE, **LOST[what])
    texts = written(store)
    for kind, text in texts.items():
        assert not re.search(r"\b(nan|None|NaT|inf)\b", text), kind
    assert "## Tuning" in texts["md"]
    assert 'id="tuning"' in texts["html"]
    with (store.folder / "report/tuning.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    planned = store.read_plan()
    assert {row["key"] for row in rows} == planned.keys
    tried = load(store).tried.values()
    statuses = {
        k: s for one in tried for k, s in zip(one.trials["key"], one.trials["status"], strict=True)
    }
    assert {r["key"]: r["status"] for r in rows if r["stage"] == "tuning"} == statuses


@pytest.mark.parametrize("what", ["complete", "nothing tuned yet", "nothing measured"])
def test_every_figure_is_drawn(make_tuned, what):
    document = Document(load(make_tuned(score=SCORE, **LOST[what])))
    assert ("tuning" in document.figures) == (what != "nothing measured")


@pytest.mark.parametrize("what", LOST)
def test_the_figure_of_tuning_is_drawn_where_anything_was_measured(make_tuned, what):
    drawn = FIGURES["tuning"](load(make_tuned(score=SCORE, **LOST[what])))
    assert (drawn is not None) == (what != "nothing measured")


OF_EACH_STAGE = itertools.cycle(["t1-0000s100", "d0001s2", "k0001s1"])


@pytest.mark.parametrize(("harm", "key"), list(zip(damage.HARM, OF_EACH_STAGE, strict=False)))
def test_a_damaged_record_is_named(make_tuned, without_figures, harm, key):
    store = make_tuned(score=SCORE)
    damage.HARM[harm](store.record_file(key))
    texts = written(store)
    for kind in ("md", "html"):
        assert (f"{key}.json" in texts[kind]) == (harm != "removed")
    assert load(store).searches[0].statuses[1][0] == ("not run" if key[0] == "t" else "done")


def test_the_answer_is_about_tuned_arms(make_tuned, without_figures):
    found = written(make_tuned(score=SCORE))
    said = "Compared with the baseline (ce), each arm with its tuned rate, mean IoU is better with train.loss = dice"
    assert said in found["html"].replace("<wbr>", "")
    assert "flips with the rate" in found["md"]
    assert "better tuned; worse with the default; inconclusive at 0.001" in found["md"]
    assert "flips with the rate" in found["tex"]


def test_while_tuning_goes_on_scores_are_called_untuned(make_tuned, without_figures):
    found = written(make_tuned(score=SCORE, **LOST["nothing tuned yet"]))
    for kind in ("md", "html"):
        assert "Tuning is not finished: 23 of 24 tuning trials" in found[kind]
    assert "(ce), not tuned yet, mean IoU is worse with" in found["md"]
    assert "tuned rate" not in found["md"]


def test_another_setting_is_called_by_its_name(make_tuned):
    found = load(make_tuned(score=SCORE, setting="train.weight_decay"))
    assert tuning.sentence(found, found.conclusions[0]) == "flips with the weight decay"
    assert tuning.aside(found) == "each arm with its tuned weight decay"


def test_the_cost_counts_every_trial_once(make_tuned):
    store = make_tuned(score=SCORE)
    found = tuning.cost(load(store))
    seconds = {record.key: record.seconds for record in store.records()}
    tuned = [value for key, value in seconds.items() if key.startswith("t")]
    assert (found.trials, found.all_trials) == (24, 44)
    assert found.seconds == pytest.approx(sum(tuned))
    assert found.share == pytest.approx(sum(tuned) / sum(seconds.values()))


def test_an_arm_that_did_best_at_the_end_is_a_warning(make_tuned, without_figures):
    found = written(make_tuned(score=SCORE, edges=(1,)))
    assert "The best rate of dice (0.01) lies at the edge of the search" in found["md"]


def test_data_frames_have_a_row_for_each_trial(make_tuned, make_store):
    frame = ExperimentResults(load(make_tuned(score=SCORE))).tuning
    assert frame["stage"].value_counts().to_dict() == {"tuning": 24, "default": 10, "tuned": 10}
    chosen = frame[frame["chosen"].eq(True)]
    assert set(zip(chosen["arm"], chosen[RATE], strict=True)) == {("ce", 0.003), ("dice", 0.01)}
    assert ExperimentResults(load(make_store(images=0))).tuning.empty


def test_without_tuning_no_table_of_it_is_written(make_store, without_figures):
    store = make_store(images=0)
    folder = write.write(store, ["csv"]).parent
    assert not list(folder.glob("tuning*"))


def test_a_store_of_tuned_arms_as_run_leaves_it_is_reported(real_trials, tmp_path, without_figures):
    source = measured.tuned(real_trials)
    store = Store(tmp_path / "real")
    shutil.copytree(source.folder, store.folder, dirs_exist_ok=True)
    texts, plan = written(store), store.read_plan()
    found = load(store)
    assert not [*found.damaged, *tuning.damaged(found)]
    assert found.unplanned == 0
    assert {one.default for one in found.searches} == {((RATE, 0.03),)}
    for one, chosen in zip(found.searches, plan.tuning.chosen, strict=True):
        best = one.tried[one.means.argmax()]
        assert one.chosen == (best,)
        assert dict(best) == chosen.values
        assert f"| {one.arm} | 0.03 |" in texts["md"]
    assert all(place.verdict for one in found.conclusions for place in one.places)


def test_a_store_as_run_leaves_it_that_is_tuned_for_every_seed_is_reported(
    real_trials, tmp_path, without_figures
):
    """Most of its trials are those of the real tuned store, which `run` finds."""
    shutil.copytree(measured.tuned(real_trials).folder.parent, tmp_path / "here")
    file = tmp_path / "here" / "real.yaml"
    values = yaml.safe_load(file.read_text())
    values["tune"] |= {"seeds": [100], "repeat": 2}
    file.write_text(yaml.safe_dump(values))
    run = ["run", file, "--results", file.parent, "--data", file.parent / "data", "--quiet"]
    assert main([*map(str, run), "--device", "cpu"]) == 0
    store = Store(file.parent / "real")
    text = " ".join(written(store)["md"].split())
    assert "Each of 2 reported seeds has a tuning of its own, in this order, with 1 seed" in text
    assert "Intervals include that tuning may choose another value with other seeds" in text
    frame = ExperimentResults(load(store)).tuning
    for (arm, seed), trained in frame[frame["stage"] == "tuned"].groupby(["arm", "seed"]):
        tried = frame[(frame["stage"] == "tuning") & (frame["arm"] == arm)]
        own = tried[tried["seed"] == 100 + seed].set_index(RATE)["mean_iou"]
        assert trained[RATE].tolist() == [own.idxmax()]
    tuned, tried = store.read_plan().trials[0].key, store.read_plan().tuning.trials[0].key
    for key in (tuned, tried):
        store.record_file(key).write_bytes(b"{")
    left = load(store)
    assert len(left.damaged) + len(tuning.damaged(left)) == 2
    assert "The next run measures it again" in " ".join(written(store)["md"].split())


def test_made_stores_of_tuned_arms_have_what_real_ones_have(make_tuned, real_trials):
    real, made = measured.tuned(real_trials).read_plan(), make_tuned(score=SCORE).read_plan()
    assert made.model_dump().keys() == real.model_dump().keys()
    for name in ("trials", "chosen", "defaults"):
        one, other = (getattr(plan.tuning, name)[0].model_dump() for plan in (real, made))
        assert one.keys() == other.keys()
        assert one["arm"].keys() == other["arm"].keys()
        assert one.get("values", {}).keys() == other.get("values", {}).keys()
