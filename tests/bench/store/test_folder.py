"""The store: what is in a results folder, read and written."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.store import damage, files, load_model
from bench.store.files import SCHEMA, Damaged
from bench.store.folder import Store
from bench.store.plans import Plan
from bench.store.records import Record, is_final, is_result, pending
from tests.bench.made_stores import details_json


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results" / "small")


def test_what_is_stored_comes_back(store, make_record):
    written = make_record(label="Größe ≤ 3", in_result={"metrics": {"mean_iou": 0.1 + 0.2}})
    store.commit(written, {"history": [{"epoch": 1}]})
    assert store.read("k1") == written
    assert details_json(store, "k1") == {"history": [{"epoch": 1}]}
    assert store.keys() == {"k1"}
    assert store.has("k1")
    assert list(store.records()) == [written]


def test_an_empty_store_has_nothing_and_makes_nothing(store):
    assert store.keys() == set()
    assert not store.has("k1")
    assert store.read_plan() is None
    assert details_json(store, "k1") == {}
    assert store.read_partial("k1") is None
    assert not store.folder.exists()


def test_a_plan_is_replaced(store):
    plans = [Plan(name=n, measure="accuracy", metric="dice", trials=()) for n in ("old", "new")]
    for plan in plans:
        store.write_plan(plan)
    assert store.read_plan() == plans[1]


def test_json_that_is_no_plan_is_damage(store):
    files.write_json(store.folder / "plan.json", {"name": "small", "trials": []})
    with pytest.raises(Damaged, match=r"plan\.json: damaged \(measure: Field required"):
        store.read_plan()


def test_the_files_are_json_for_everybody(store, make_record):
    store.commit(make_record(), {})
    body = json.loads((store.folder / "trials" / "k1.json").read_text(encoding="utf-8"))
    assert body["schema"] == SCHEMA
    assert set(Record.model_fields) < set(body)


def test_records_that_say_nothing_of_attempts_had_one(store, make_record):
    body = make_record().model_dump(mode="json")
    del body["attempts"]
    files.write_json(store.record_file("k1"), body)
    assert store.read("k1").attempts == 1


# fmt: off
NO_RECORDS = {
    "a key too few": lambda body: body.pop("seed"),
    "a key too many": lambda body: body.update(colour="red"),
    "a text for a number": lambda body: body.update(seed="0"),
    "a list for a mapping": lambda body: body.update(result=[]),
    "nothing for a text": lambda body: body.update(status=None),
    "of another trial": lambda body: body.update(key="k2"),
}
# fmt: on


@pytest.mark.parametrize("kind", NO_RECORDS)
def test_json_that_is_no_record_is_damage(store, make_record, kind):
    body = make_record().model_dump(mode="json")
    NO_RECORDS[kind](body)
    files.write_json(store.record_file("k1"), body)
    with pytest.raises(Damaged, match=r"k1\.json: damaged \("):
        store.read("k1")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = list(Record.model_fields)
FUZZED = {
    **dict.fromkeys(("experiment", "label", "started"), ""),
    **{name: {} for name in ("arm", "settings", "provenance", "environment")},
    "key": "k",
    "measure": "accuracy",
    "status": "done",
    "seed": 0,
    "seconds": 0.0,
}


@settings(deadline=None, max_examples=int(os.environ.get("BENCH_FUZZ", "100")))
@given(st.dictionaries(st.sampled_from(NAMES), json_values))
def test_no_json_raises_anything_but_damage(tmp_path_factory, values):
    store = Store(tmp_path_factory.getbasetemp() / "fuzzed")
    body = {**FUZZED, **values}
    files.write_json(store.record_file("k"), body)
    records, problems = store.intact(["k"])
    assert len(records) + len(problems) == 1


def test_those_that_can_be_read_are_told_from_those_that_cannot(store, make_record):
    for key in ("k1", "k2"):
        store.commit(make_record(key=key), {})
    store.record_file("k2").write_bytes(b"{}")
    records, problems = store.intact(["k2", "k1", "k3"])
    assert list(records) == ["k1"]
    assert [str(store.record_file("k2")) in line for line in problems] == [True]
    assert store.held(["k1", "k2"]) == records


def test_a_blob_that_was_damaged_is_written_again(store):
    name = store.put(b"picture", ".png")
    (store.folder / name).write_bytes(b"another")
    assert store.put(b"picture", ".png") == name
    assert store.blob(name) == b"picture"


def test_blobs_are_named_by_what_they_hold(store):
    name = store.put(b"picture", ".png")
    assert store.put(b"picture", ".png") == name
    assert store.blob(name) == b"picture"
    assert len(list((store.folder / "blobs").iterdir())) == 1
    (store.folder / name).write_bytes(b"another")
    with pytest.raises(Damaged, match="damaged"):
        store.blob(name)
    (store.folder / name).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        store.blob(name)


def test_all_blobs_of_a_record_are_found(store, make_record):
    names = [
        store.put(content, suffix) for content, suffix in ((b"1", ".png"), (b"2", ".safetensors"))
    ]
    example = {"name": "a", "image": names[0], "truth": names[0], "prediction": names[0]}
    store.commit(make_record(in_result={"examples": [example], "checkpoint": names[1]}), {})
    record, found = store.read_with_blobs("k1")
    assert record == store.read("k1")
    assert list(dict.fromkeys(found)) == names


def test_the_record_is_the_last_thing_written(store, make_record, monkeypatch):
    """Whoever sees a record can read its details: they were there before it."""
    order = []
    real = files.write_whole
    monkeypatch.setattr(
        files,
        "write_whole",
        lambda path, content: (order.append(path.parent.name), real(path, content)),
    )
    store.commit(make_record(), {"history": []})
    assert order == ["details", "trials"]


def test_a_state_is_kept_until_the_trial_is_stored(store, make_record):
    for content in (b"first", b"", b"second"):
        store.write_partial("k1", content)
        assert store.read_partial("k1") == content
    store.commit(make_record(), {})
    assert store.read_partial("k1") is None
    assert list((store.folder / "partial").iterdir()) == []


@pytest.mark.parametrize("harm", ["flip", "truncate", "empty"])
def test_a_damaged_state_is_named(store, harm):
    store.write_partial("k1", b"state")
    path = store.partial_file("k1")
    whole = path.read_bytes()
    path.write_bytes({"flip": whole[:-1] + b"?", "truncate": whole[:-1], "empty": b""}[harm])
    with pytest.raises(Damaged, match="k1: damaged"):
        store.read_partial("k1")


def test_a_claim_lasts_as_long_as_its_block(store):
    with store.claim("k1") as first:
        assert first is not None
        with store.claim("k1") as second:
            assert second is None
    with store.claim("k1") as third:
        assert third is not None
    assert list((store.folder / "claims").iterdir()) == []


def test_what_is_still_to_be_measured(make_record):
    held = {
        "done": make_record(),
        "diverged": make_record(status="diverged"),
        "failed": make_record(status="failed", attempts=2),
        "given up": make_record(status="failed", attempts=3),
        "oom": make_record(status="oom"),
        "does not fit": make_record(status="oom", measure="throughput", result=None),
    }
    assert pending(held, [*held, "new"]) == ["failed", "oom", "new"]
    assert [key for key, record in held.items() if is_result(record)] == ["done", "does not fit"]
    assert not is_final(held["failed"])


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="results cannot be written"):
        Store(tmp_path / "file" / "small").check_writable()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="results cannot be written"):
        Store(tmp_path / "small").check_writable()


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "plan.json",
        f"blobs/../{'0' * 64}.png",
        f"/blobs/{'0' * 64}.png",
        f"blobs/{'0' * 64}.png\n",
        "",
    ],
)
def test_no_name_leads_out_of_the_pictures(tmp_path, name):
    store = Store(tmp_path / "store")
    store.put(b"picture", ".png")
    with pytest.raises(UserError, match="is refused; only plain files in blobs/"):
        store.blob(name)
    assert len(damage.check_blob(store, name)) == 1


def test_a_picture_is_no_link(tmp_path):
    store = Store(tmp_path / "store")
    name = store.put(b"picture", ".png")
    (store.folder / name).rename(tmp_path / "elsewhere")
    (store.folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is refused"):
        store.blob(name)
    assert store.put(b"picture", ".png") == name
    assert store.blob(name) == b"picture"
    assert not (store.folder / name).is_symlink()


def test_a_checkpoint_elsewhere_is_not_loaded(tmp_path, make_record):
    store = Store(tmp_path / "store")
    record = make_record(settings={})
    body = record.model_dump(mode="json")
    body["result"]["checkpoint"] = "../../weights.safetensors"
    files.write_json(store.record_file(record.key), body)
    planned = {"key": record.key, "arm": record.arm, "label": record.label, "seed": record.seed}
    plan = {"name": "small", "measure": "accuracy", "metric": "mean_iou", "trials": (planned,)}
    plan["seeds"] = (record.seed,)
    store.write_plan(Plan.model_validate(plan))
    with pytest.raises(Damaged, match=r"k1\.json: damaged \(result\.accuracy\.checkpoint"):
        load_model.of_trial(store)
    (tmp_path.parent / "weights.safetensors").write_bytes(b"mine")
    assert damage.set_aside(store, {record.key: (record.seed, record.arm)})
    assert not store.has(record.key)
    assert (tmp_path.parent / "weights.safetensors").read_bytes() == b"mine"
