"""What is stored of a trial, and whether the trial is finished."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bench import metrics
from bench.measurements import MEASUREMENTS
from bench.store.files import SCHEMA
from bench.store.results import AccuracyResult, AnyResult, ThroughputResult
from bench.store.stored import Json, Key, NotNegative, Stored, Whole

ATTEMPTS = 3  # at a trial that fails or is killed, in all runs together

Status = Literal["done", "failed", "diverged", "oom", "killed", "timeout", "invalid"]


class Record(Stored):
    """What was measured in one trial.

    ``status`` is ``done``, or says why there is no result; then ``reason`` holds one line and
    ``result`` is None. One that is ``invalid`` has a result, which something disturbed; ``reason``
    says what.
    """

    key: Key
    experiment: str
    measure: Literal["accuracy", "throughput"]
    status: Status
    reason: str | None = None
    arm: Mapping[str, Json] = Field(
        description="what makes the arm differ, by dotted setting or factor"
    )
    label: str = Field(description="of the arm")
    seed: Whole
    settings: Mapping[str, Mapping[str, Json]] = Field(
        description="resolved; those that the trial reads"
    )
    provenance: Mapping[str, str] = Field(description="digests of data, code and versions")
    environment: Mapping[str, str | Whole | float | None] = Field(
        description="versions, processor, device, threads"
    )
    started: str = Field(description="UTC, ISO 8601")
    seconds: NotNegative = Field(description="wall time of the run that finished it")
    result: AnyResult = None
    attempts: Annotated[Whole, Field(ge=1)] = Field(1, description="how often it was tried")

    @model_validator(mode="after")
    def _has_a_result_or_a_reason(self) -> Record:
        """Done and invalid trials have a result of what was measured, the others a reason."""
        if (self.result is not None) != (self.status in ("done", "invalid")):
            raise ValueError(
                f"status: {self.status} {'without' if self.result is None else 'with'} a result"
            )
        if (self.reason is None) != (self.status == "done"):
            raise ValueError(f"reason: {self.reason!r}, where the status is {self.status}")
        timed = self.measure == "throughput"
        if self.result is not None and (self.throughput is not None) != timed:
            raise ValueError(f"result: not of a measurement of {self.measure}")
        if self.throughput is not None and self.throughput.validity.valid != (
            self.status == "done"
        ):
            raise ValueError(f"status: {self.status}, which its validity contradicts")
        try:
            datetime.fromisoformat(self.started)
        except ValueError:
            raise ValueError(f"started: {self.started[:40]!r} is no time") from None
        for name, level in self.arm.items():
            if contradicted(name, level, self.settings):
                raise ValueError(f"arm: {name} is {level!r}, in its settings it is not")
        return self

    @property
    def accuracy(self) -> AccuracyResult | None:
        """The result, if a network was trained."""
        return self.result if isinstance(self.result, AccuracyResult) else None

    @property
    def throughput(self) -> ThroughputResult | None:
        """The result, if a pass was timed."""
        return self.result if isinstance(self.result, ThroughputResult) else None

    @property
    def uncompiled(self) -> str | None:
        """What ran uncompiled of a network that was to be compiled, as far as it is known."""
        compiled = None if self.result is None else self.result.compiled
        return None if compiled is None else compiled.problem

    @property
    def stopped_after(self) -> int | None:
        """After how many epochs its training stopped early, by its patience; None if not early."""
        train = self.settings.get("train", {})
        if self.accuracy is None or train.get("patience") is None:
            return None
        epochs = int(self.accuracy.counts["epochs"])
        return None if epochs == train["epochs"] else epochs

    def metric(self, name: str) -> float | None:
        """Return the value of a metric, such as ``mean_iou`` or ``iou[car]``; None without one."""
        if self.result is None:
            return None
        classes = self.accuracy.classes if self.accuracy else ()
        return metrics.value(self.result.metrics, name, classes)


def contradicted(name: str, level: Any, settings: Mapping[str, Any]) -> bool:
    """Tell whether settings have another value at a dotted name than a level.

    A setting that a trial does not read is not among them, and no contradiction. Nor are two of
    different type: YAML's text for a number, say, is a number in the settings.
    """
    there: Any = settings
    for part in name.split("."):
        if not isinstance(there, Mapping) or part not in there:
            return False
        there = there[part]
    return _differ(level, there)


def contradiction(record: Record, seed: int, arm: Mapping[str, Any]) -> str | None:
    """Return what a record says that the plan does not of the trial of its key; None if nothing.

    Its own arm and label may be other ones: the same settings may be an arm of several plans.
    """
    if record.seed != seed:
        return f"its seed is {record.seed}, in the plan {seed}"
    for name, level in arm.items():
        if contradicted(name, level, record.settings):
            return f"{name} is {level!r} in the plan, in its settings it is not"
    return None


def _differ(level: Any, there: Any) -> bool:
    if isinstance(level, Mapping) and isinstance(there, Mapping):
        return any(_differ(value, there[key]) for key, value in level.items() if key in there)
    kinds = (str, bool, (int, float))
    kind = next((kind for kind in kinds if isinstance(level, kind)), None)
    known = kind is not None and isinstance(there, kind)
    return known and isinstance(level, bool) == isinstance(there, bool) and bool(level != there)


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
