"""What is stored of a trial, and whether the trial is finished."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from bench import metrics
from bench.measurements import MEASUREMENTS
from bench.store.files import SCHEMA
from bench.store.results import AccuracyResult, AnyResult, Stored, ThroughputResult

ATTEMPTS = 3  # at a trial that fails or is killed, in all runs together

Status = Literal["done", "failed", "diverged", "oom", "killed", "timeout", "invalid"]


class Record(Stored):
    """What was measured in one trial.

    ``status`` is ``done``, or says why there is no result; then ``reason`` holds one line and
    ``result`` is None. One that is ``invalid`` has a result, which something disturbed; ``reason``
    says what.
    """

    key: str
    experiment: str
    measure: Literal["accuracy", "throughput"]
    status: Status
    reason: str | None = None
    arm: Mapping[str, Any] = Field(description="what makes the arm differ, by dotted setting")
    label: str = Field(description="of the arm")
    seed: int
    settings: Mapping[str, Any] = Field(description="resolved; those that the trial reads")
    provenance: Mapping[str, str] = Field(description="digests of data, code and versions")
    environment: Mapping[str, Any] = Field(description="versions, processor, device, threads")
    started: str = Field(description="UTC, ISO 8601")
    seconds: float = Field(description="wall time of the run that finished it")
    result: AnyResult = None
    attempts: int = Field(1, description="how often it was tried")

    @property
    def accuracy(self) -> AccuracyResult | None:
        """The result, if a network was trained."""
        return self.result if isinstance(self.result, AccuracyResult) else None

    @property
    def throughput(self) -> ThroughputResult | None:
        """The result, if a pass was timed."""
        return self.result if isinstance(self.result, ThroughputResult) else None

    def metric(self, name: str) -> float | None:
        """Return the value of a metric, such as ``mean_iou`` or ``iou[car]``; None without one."""
        if self.result is None:
            return None
        classes = self.accuracy.classes if self.accuracy else ()
        return metrics.value(self.result.metrics, name, classes)


def is_result(record: Record) -> bool:
    """Tell whether a trial ended as its experiment meant it to."""
    return record.status == "done" or record.status in MEASUREMENTS[record.measure].results


def is_final(record: Record) -> bool:
    """Tell whether a trial need not be tried again: it would end the same, or did too often.

    What disturbed an invalid measurement may be gone in a later run, however many there were.
    """
    known = is_result(record) or record.status == "diverged"
    return known or (record.attempts >= ATTEMPTS and record.status != "invalid")


def pending(held: Mapping[str, Record], keys: Iterable[str]) -> list[str]:
    """Return which of some trials are still to be measured, in their order."""
    return [key for key in keys if key not in held or not is_final(held[key])]


def schema() -> str:
    """Return the JSON Schema of a record file, for scripts that read them."""
    body = Record.model_json_schema(mode="serialization")
    body["properties"] = {
        "checksum": {"type": "string", "description": "SHA-256 of the bytes after the first line"},
        "schema": {"const": SCHEMA},
        **body["properties"],
    }
    return json.dumps(body, indent=2) + "\n"
