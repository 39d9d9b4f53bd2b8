"""Trainings that stopped early: who reads a report is told, and sees for how long each trained."""

import pytest

from bench.analysis import analysis
from bench.report.content import facts, prose, views
from bench.report.tables.registry import TABLES
from tests.bench.made_stores import changed, details_json

EPOCHS = {("ce", 0): 3, ("ce", 1): 6, ("dice", 0): 4, ("dice", 1): 5}  # of 6
SCHEDULE = {"name": "step", "step_size": 10, "gamma": 0.1, "power": 0.9}


@pytest.fixture
def make(make_store):
    """Return a function: epochs by arm and seed, and more → the results of such trainings."""

    def make(epochs, schedule=SCHEDULE, watched="val", patience=2):
        store = make_store(seeds=(0, 1), images=0)
        for record in store.records():
            train = changed(record.settings["train"], schedule=schedule) | {"patience": patience}
            trained = epochs[record.label, record.seed]
            counts = changed(record.result.counts, epochs=trained)
            update = {"counts": counts, "watched_split": watched, "chosen_epoch": trained}
            details = details_json(store, record.key)
            details["history"] = details["history"][:trained]
            record = record.model_copy(
                update={
                    "settings": {**record.settings, "train": train},
                    "result": record.result.model_copy(update=update),
                }
            )
            store.commit(record, details)
        return analysis.load(store)

    return make


def warned(results):
    return [line for line in prose.say(results, "warnings") if "stopped early" in line]


def test_a_warning_says_what_differs_between_arms(make):
    [line] = warned(make(EPOCHS))
    assert line.startswith("3 of 4 trainings stopped early (train.patience), after 3 to 5 epochs.")
    assert "The same images, val, decided when to stop and give the scores" in line
    # 3 and 6 epochs are as many on average as 4 and 5, and no rate changed in these.
    assert "different arms" not in line
    assert "schedule" not in line


def test_arms_of_other_lengths_and_rates_that_were_still_to_come_are_named(make):
    epochs = {**EPOCHS, ("ce", 1): 3}
    [line] = warned(make(epochs, {**SCHEDULE, "name": "cosine"}, watched="train"))
    assert "4 of 4 trainings stopped early (train.patience), after 3 to 5 epochs" in line
    assert "different arms were trained for different numbers of epochs" in line
    assert "The schedule of the learning rate (cosine) was cut off there." in line
    assert "The train images decided when to stop; the scores are of other images." in line
    [line] = warned(make(EPOCHS, {**SCHEDULE, "step_size": 5}))
    assert "(step) was cut off" in line


@pytest.mark.parametrize("patience", [None, 2])
def test_who_stopped_nothing_early_reads_nothing_of_it(make, patience):
    results = make(dict.fromkeys(EPOCHS, 6), patience=patience)
    assert warned(results) == []
    assert facts.stopped_early(results) is None
    assert ("epochs trained" in views.arm_table(results).headings) == (patience is not None)


def test_tables_show_for_how_many_epochs_networks_trained(make):
    results = make(EPOCHS)
    table = views.arm_table(results)
    column = table.headings.index("epochs trained")
    assert [row[column] for row in table.text()] == ["3–6", "4–5"]
    trials = TABLES["trials"](results)
    assert {(r.arm, r.seed): r.epochs for r in trials.itertuples()} == EPOCHS
    assert "epochs" in views.trial_table(results).headings
