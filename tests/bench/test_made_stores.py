"""What stands in for results in other tests has all that results have, and nothing else."""

import pytest

from bench.store import loading
from bench.store.frame import NOT_RUN
from tests.bench import made_stores
from tests.bench import real_trials as measured
from tests.bench.made_stores import details_json

STATUSES = ("done", "failed", "diverged", "oom", "killed", "timeout", "invalid")


def shape(value):
    """Return the keys of nested mappings; of lists, of the first mapping in them."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [shape(value[0])]
    return None


def by_image(details):
    """Return details whose images are called by their numbers."""
    images = details.get("per_image", {}).values()
    return {**details, **({"per_image": list(images)[:1]} if images else {})}


def parts(store, key):
    record = store.read(key).model_dump(mode="json")
    arm = record.pop("arm")
    return arm, shape(record), shape(by_image(details_json(store, key)))


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("measure", ["accuracy", "throughput"])
@pytest.mark.parametrize("counted", [0, 5])
def test_a_made_store_has_what_a_real_one_has(make_store, real_trials, measure, status, counted):
    made = make_store(measure=measure, failures={(1, 1): status}, counted=counted)
    source, _, _ = made_stores.templates(real_trials, measure, 8)
    ended = status in ("done", "invalid")
    real = source if ended else measured.diverged(real_trials)
    _, record, details = parts(real, min(real.keys()))
    arm, made_record, made_details = parts(made, "k0001s1")
    assert arm == {"train.loss": "dice"}
    if measure == "throughput" and not ended:
        details = {}  # what was timed has no epochs
    assert made_details == details
    if not ended:  # of the same measurement, but for the result
        whole = parts(source, min(source.keys()))[1]
        record = {**whole, "result": record["result"]}
    assert made_record == record
    plans = [store.read_plan().model_dump() for store in (made, source)]
    assert plans[0].keys() == plans[1].keys()
    assert plans[0]["trials"][0].keys() == plans[1]["trials"][0].keys()


def test_what_no_real_record_has_cannot_be_made_up():
    with pytest.raises(KeyError, match="no real record has classes_seen"):
        made_stores.changed({"classes_averaged": 1}, classes_seen=2)


def test_every_example_is_read_without_damage(every_store):
    results = loading.load(every_store)
    assert results.damaged == ()
    statuses = set(results.trials["status"])
    assert statuses <= {*STATUSES, NOT_RUN}
