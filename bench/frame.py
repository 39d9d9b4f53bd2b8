"""A store as tables of samples: one row a trial, a class of a trial, an epoch of a trial."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bench.details import Counts, collector_paused, pack
from bench.errors import UserError
from bench.records import Record, Store

DONE = "done"
NOT_RUN = "not run"

_TRIAL = ("key", "arm", "seed", "status", "reason", "seconds")
_CLASS = ("key", "arm", "seed", "class")
_EPOCH = ("key", "arm", "seed", "status", "epoch", "train_loss")
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Results:
    """An experiment as it was planned, and as far as it was measured.

    Attributes:
        store: where it lies; pictures are read from here.
        plan: what ``plan.json`` holds.
        arms: label of every arm, in plan order → the settings that make the arm, as text.
        records: key → record of every planned trial that has one.
        trials: a row for each trial of the plan, in plan order: ``key``, ``arm``, ``seed``,
            ``status`` (a record's, or ``not run``), ``reason``, then every number of its result
            that stands alone, under its own name, and ``seconds``. Missing where the trial
            did not finish.
        classes: a row for each class of each finished trial: ``key``, ``arm``, ``seed``,
            ``class`` and a column for each score that is given by class.
        history: a row for each epoch of each trial that has one: ``key``, ``arm``, ``seed``,
            ``status``, ``epoch``, ``train_loss`` and the scores of that epoch.
        counts: key → confusion matrices of every image, for each finished trial that has them.
        scores: names of the scores of a whole trial, the experiment's own first.
        palette: class name → RGB, in the order in which the classes first occur.
        unplanned: number of records in the store that are not part of the plan.
        damaged: a line for each stored file that cannot be used. A trial whose record is among
            them counts as not run.
    """

    store: Store
    plan: Mapping[str, Any]
    arms: Mapping[str, Mapping[str, str]]
    records: Mapping[str, Record]
    trials: pd.DataFrame
    classes: pd.DataFrame
    history: pd.DataFrame
    counts: Mapping[str, Counts]
    scores: tuple[str, ...]
    palette: Mapping[str, tuple[int, int, int]]
    unplanned: int
    damaged: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """Name of the score that the experiment is about."""
        return str(self.plan["metric"])

    @property
    def factors(self) -> dict[str, tuple[str, ...]]:
        """Factor → its levels as text, in the order of the plan."""
        return {name: tuple(map(text, levels)) for name, levels in self.plan["factors"].items()}

    @property
    def baseline(self) -> dict[str, str]:
        """Factor → its level in the baseline; empty where none was declared."""
        return {name: text(level) for name, level in self.plan["baseline"].items()}

    @property
    def grid(self) -> tuple[str, ...]:
        """Labels of the arms that give every factor a level, unlike those of ``include`` rows."""
        factors = self.factors
        return tuple(
            label
            for label, arm in self.arms.items()
            if arm.keys() == factors.keys()
            and all(arm[name] in levels for name, levels in factors.items())
        )

    @property
    def baseline_arm(self) -> str | None:
        """Label of the arm in which every factor is at the baseline, if there is one."""
        baseline = self.baseline
        if not baseline or baseline.keys() != self.factors.keys():
            return None
        return next((label for label in self.grid if self.arms[label] == baseline), None)

    def by_level(self, factor: str) -> dict[str, tuple[str, ...]]:
        """Return level of a factor → labels of the arms that speak about it.

        In a full factorial these are all arms of the grid that have the level. In a
        one-at-a-time design the other factors have to be at the baseline, or the baseline's
        level would collect every arm in which another factor was changed.
        """
        others = {name: level for name, level in self.baseline.items() if name != factor}
        alone = self.plan["design"] == "one_at_a_time"
        fitting = [
            label
            for label in self.grid
            if not alone or all(self.arms[label][name] == others[name] for name in others)
        ]
        return {
            level: tuple(label for label in fitting if self.arms[label][factor] == level)
            for level in self.factors[factor]
        }

    @property
    def done(self) -> pd.DataFrame:
        """The rows of ``trials`` that have a result."""
        return self.trials[self.trials["status"] == DONE]


@collector_paused()
def load(store: Store) -> Results:
    """Read a results folder.

    Raises:
        UserError: if it holds no experiment, or its plan is damaged.
    """
    plan = store.read_plan()
    if plan is None:
        raise UserError(f"{store.folder}: holds no experiment (there is no plan.json)")
    stored, keys = store.keys(), {trial["key"] for trial in plan["trials"]}
    records, damaged = store.intact(keys)
    arms = _arms(plan)
    labels = {signature: label for label, (signature, _) in arms.items()}
    heads: list[Row] = [
        {"key": trial["key"], "arm": labels[_signature(trial["arm"])], "seed": trial["seed"]}
        for trial in plan["trials"]
    ]
    damaged += _without_damaged_pictures(store, heads, records)
    measured = [(head, records[head["key"]]) for head in heads if head["key"] in records]
    trials = [{**head, **_trial(records.get(head["key"]))} for head in heads]
    classes = [{**head, **row} for head, record in measured for row in _classes(record.result)]
    history: list[Row] = []
    counts = {}
    for head, record in measured:
        try:
            details = store.details(record.key)  # by far the largest files, so read once
        except UserError as error:
            damaged.append(str(error))
            continue
        epochs = details.get("history", ())
        history += ({**head, "status": record.status, **_epoch(epoch)} for epoch in epochs)
        packed = pack(details, len(record.result.get("classes", ())))
        if record.status == DONE and packed is not None:
            counts[record.key] = packed
    return Results(
        store=store,
        plan=plan,
        arms={label: arm for label, (_, arm) in arms.items()},
        records=records,
        trials=typed(trials, (*_TRIAL, plan["metric"])),
        classes=typed(classes, _CLASS),
        history=typed(history, _EPOCH),
        counts=counts,
        scores=_scores(plan["metric"], records.values()),
        palette=_palette(record.result for _, record in measured),
        unplanned=len(stored - keys),
        damaged=tuple(damaged),
    )


def _without_damaged_pictures(
    store: Store, heads: Sequence[Row], records: dict[str, Record]
) -> list[str]:
    """Take damaged pictures out of the records that a report shows pictures of; say which.

    Of every arm these are the pictures of its first trial that has any.
    """
    found: dict[str, str] = {}
    shown: set[str] = set()
    for head in heads:
        record = records.get(head["key"])
        panels = record.result.get("panels") if record is not None else None
        if record is None or not panels or head["arm"] in shown:
            continue
        kept = []
        for panel in panels:
            problems = _problems(store, panel)
            found |= problems
            if not problems:
                kept.append(panel)
        records[head["key"]] = replace(record, result={**record.result, "panels": kept})
        if kept:
            shown.add(head["arm"])
    return list(found.values())


def _problems(store: Store, panel: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for kind in ("image", "truth", "prediction"):
        try:
            store.blob(panel[kind])
        except UserError as error:
            found[panel[kind]] = str(error)
    return found


def study_history(results: Results) -> pd.DataFrame:
    """Return the rows of the history in which the study's score was taken too."""
    if "study_iou" not in results.history:
        return results.history.iloc[:0]
    return results.history.dropna(subset=["study_iou", "study_iou_absent", "mean_iou"])


def text(value: Any) -> str:
    """Return a setting's value as YAML would take it: ``true``, ``0.01``, ``dice``."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def spoken(name: str) -> str:
    """Return the name of a column as it is said: ``mean_iou`` → ``mean IoU``."""
    return " ".join("IoU" if word == "iou" else word for word in name.split("_"))


def _signature(arm: Mapping[str, Any]) -> str:
    return json.dumps(arm, sort_keys=True)


def _arms(plan: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, str]]]:
    """Return label → (signature, settings as text); a label used twice is numbered."""
    arms: dict[str, tuple[str, dict[str, str]]] = {}
    seen: set[str] = set()
    for trial in plan["trials"]:
        signature = _signature(trial["arm"])
        if signature in seen:
            continue
        seen.add(signature)
        label, number = trial["label"], 1
        while label in arms:
            number += 1
            label = f"{trial['label']} ({number})"
        arms[label] = signature, {name: text(value) for name, value in trial["arm"].items()}
    return arms


def _trial(record: Record | None) -> Row:
    if record is None:
        return {"status": NOT_RUN}
    result = record.result
    named = {**result, **result.get("metrics", {}), **result.get("counts", {})}
    return {
        "status": record.status,
        "reason": record.reason,
        "seconds": record.seconds,
        **{
            name: value
            for name, value in named.items()
            if value is None or isinstance(value, int | float | str)
        },
    }


def _classes(result: Mapping[str, Any]) -> list[Row]:
    names = result.get("classes", ())
    columns = {name: v for name, v in result.get("metrics", {}).items() if isinstance(v, list)}
    return [
        {"class": name, **{column: values[i] for column, values in columns.items()}}
        for i, name in enumerate(names)
    ]


def _epoch(epoch: Mapping[str, Any]) -> Row:
    return {
        "epoch": epoch["epoch"],
        "train_loss": epoch.get("train_loss"),
        **epoch.get("metrics", {}),
    }


def _scores(metric: str, records: Iterable[Record]) -> tuple[str, ...]:
    """Return the names of all scores but ``classes_averaged``, which counts."""
    found = dict.fromkeys(
        name
        for record in records
        for name, value in record.result.get("metrics", {}).items()
        if not isinstance(value, list)
    )
    return tuple(dict.fromkeys([metric, *(name for name in found if name != "classes_averaged")]))


def _palette(results: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, int, int]]:
    palette: dict[str, tuple[int, int, int]] = {}
    for result in results:
        for name, (red, green, blue) in zip(
            result.get("classes", ()), result.get("palette", ()), strict=True
        ):
            palette.setdefault(name, (red, green, blue))
    return palette


def typed(rows: list[Row], columns: Iterable[str] = ()) -> pd.DataFrame:
    """Build a frame that has ``columns`` first, whole numbers as Int64 and others as float64."""
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    arrays: dict[str, Any] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        present = [value for value in values if value is not None]
        if present and all(type(value) is int for value in present):
            arrays[name] = pd.array(values, dtype="Int64")
        elif all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in present
        ):
            arrays[name] = np.array([math.nan if v is None else v for v in values], np.float64)
        else:
            arrays[name] = np.array(values, dtype=object)
    return pd.DataFrame(arrays)
