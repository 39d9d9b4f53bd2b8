"""The JSON Schema of records: current, and what real records have."""

import json

import pytest

from bench.experiment.code_digest import ROOT
from bench.store import records
from bench.store.files import SCHEMA
from bench.store.folder import Store
from bench.store.records import Record
from tests.bench import real_trials as measured

COMMITTED = sorted(path.parent for path in (ROOT / "results").glob("*/plan.json"))


def test_the_schema_in_the_repository_is_the_current_one():
    assert (ROOT / "docs" / "record.schema.json").read_text(encoding="utf-8") == records.schema()


@pytest.mark.parametrize("kind", [lambda folder: measured.scored(folder, 3), measured.timed])
def test_new_records_have_what_the_schema_names(kind, real_trials):
    store = kind(real_trials)
    properties = json.loads(records.schema())["properties"]
    for key in sorted(store.keys()):
        body = json.loads(store.record_file(key).read_bytes())
        assert body.keys() == properties.keys()
        del body["schema"], body["checksum"]
        assert Record.model_validate_json(json.dumps(body), strict=True) == store.read(key)


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda path: path.name)
def test_committed_records_are_upgraded_to_it(folder):
    store = Store(folder)
    plan = store.read_plan()
    found, damaged = store.intact(trial.key for trial in plan.trials)
    assert damaged == []
    assert len(found) == len(plan.trials)
    properties = json.loads(records.schema())["properties"]
    for record in found.values():
        body = record.model_dump(mode="json")
        assert {"schema": SCHEMA, "checksum": "", **body}.keys() == properties.keys()
        assert Record.model_validate_json(json.dumps(body), strict=True) == record
