"""A record of a trial that never was."""

import pytest

from bench.store.records import Record

VALUES = {
    "key": "k1",
    "experiment": "small",
    "measure": "accuracy",
    "status": "done",
    "reason": None,
    "arm": {"train.loss": "ce"},
    "label": "ce",
    "seed": 0,
    "settings": {"train": {"loss": "ce"}},
    "provenance": {"data": "d", "code": "c"},
    "environment": {"python": "3"},
    "started": "2026-01-01T00:00:00+00:00",
    "seconds": 1.5,
    "result": {
        "classes": ["sky", "road"],
        "palette": [[0, 0, 0], [255, 0, 0]],
        "split": "val",
        "chosen_epoch": 1,
        "metrics": {"mean_iou": 0.1 + 0.2, "iou": [None, 1e-300]},
        "counts": {"steps": 4},
    },
}


@pytest.fixture
def make_record():
    """Return a function that makes a record, some values of it and of its result changed."""

    def make(*, in_result=None, **changes):
        result = {**VALUES["result"], **in_result} if in_result else VALUES["result"]
        ended = changes.get("status", "done")
        if ended not in ("done", "invalid"):
            result = None
        reason = None if ended == "done" else "out of luck"
        return Record(**{**VALUES, "result": result, "reason": reason, **changes})

    return make
