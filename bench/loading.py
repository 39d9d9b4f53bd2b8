"""A results folder → what reports are made of, as far as it can be read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.details import collector_paused, pack
from bench.errors import UserError
from bench.frame import DONE, NOT_RUN, Results, Row, text, typed
from bench.records import Record, Store

_TRIAL = ("key", "arm", "seed", "status", "reason", "seconds")
_CLASS = ("key", "arm", "seed", "class")
_EPOCH = ("key", "arm", "seed", "status", "epoch", "train_loss")


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
    heads: list[Row] = [
        {"key": trial["key"], "arm": trial["label"], "seed": trial["seed"]}
        for trial in labelled(plan)
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
        arms={label: arm for label, (_, arm) in _arms(plan).items()},
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


def _signature(arm: Mapping[str, Any]) -> str:
    return json.dumps(arm, sort_keys=True)


def labelled(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the trials of a plan, their labels as reports have them: no two arms share one."""
    labels = {signature: label for label, (signature, _) in _arms(plan).items()}
    return [{**trial, "label": labels[_signature(trial["arm"])]} for trial in plan["trials"]]


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
