"""A results folder → what reports are made of, as far as it can be read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.errors import UserError
from bench.store.folder import Store
from bench.store.frame import DONE, NOT_RUN, Results, Row, text, typed
from bench.store.image_counts import collector_paused, pack
from bench.store.records import Record
from bench.store.results import AccuracyResult, Example

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
    metric = plan["metric"]
    trials = [{**head, **_trial(records.get(head["key"]), metric)} for head in heads]
    classes = [{**head, **row} for head, record in measured for row in _classes(record.accuracy)]
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
        packed = pack(details, len(record.accuracy.classes) if record.accuracy else 0)
        if record.status == DONE and packed is not None:
            counts[record.key] = packed
    return Results(
        store=store,
        plan=plan,
        arms={label: arm for label, (_, arm) in _arms(plan).items()},
        records=records,
        trials=typed(trials, (*_TRIAL, metric)),
        classes=typed(classes, _CLASS),
        history=typed(history, _EPOCH),
        counts=counts,
        scores=_scores(metric, records.values()),
        palette=_palette(record.accuracy for _, record in measured),
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
        result = record.accuracy if record is not None else None
        if record is None or result is None or not result.examples or head["arm"] in shown:
            continue
        kept = []
        for example in result.examples:
            problems = _problems(store, example)
            found |= problems
            if not problems:
                kept.append(example)
        intact = result.model_copy(update={"examples": tuple(kept)})
        records[head["key"]] = record.model_copy(update={"result": intact})
        if kept:
            shown.add(head["arm"])
    return list(found.values())


def _problems(store: Store, example: Example) -> dict[str, str]:
    found = {}
    for blob in (example.image, example.truth, example.prediction):
        try:
            store.blob(blob)
        except UserError as error:
            found[blob] = str(error)
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


def _trial(record: Record | None, metric: str) -> Row:
    """Return status, times, counts and every score of a trial that is a single number."""
    if record is None:
        return {"status": NOT_RUN}
    row: Row = {"status": record.status, "reason": record.reason, "seconds": record.seconds}
    if record.accuracy is not None:
        names = ("split", "watched_split", "chosen_epoch", "training_seconds")
        row |= {name: getattr(record.accuracy, name) for name in names}
    if record.result is not None:
        row |= {n: v for n, v in record.result.metrics.items() if not isinstance(v, list)}
        row |= record.result.counts
        row[metric] = record.metric(metric)
    return row


def _classes(result: AccuracyResult | None) -> list[Row]:
    if result is None:
        return []
    columns = {name: v for name, v in result.metrics.items() if isinstance(v, list)}
    return [
        {"class": name, **{column: values[i] for column, values in columns.items()}}
        for i, name in enumerate(result.classes)
    ]


def _epoch(epoch: Mapping[str, Any]) -> Row:
    return {
        "epoch": epoch["epoch"],
        "train_loss": epoch.get("train_loss"),
        **epoch.get("metrics", {}),
    }


def _scores(metric: str, records: Iterable[Record]) -> tuple[str, ...]:
    """Return the names of all scores of a whole trial; numbers of classes are no scores."""
    found = dict.fromkeys(
        name
        for record in records
        if record.result is not None
        for name, value in record.result.metrics.items()
        if not isinstance(value, list) and not name.startswith("classes_")
    )
    return tuple(dict.fromkeys([metric, *found]))


def _palette(results: Iterable[AccuracyResult | None]) -> dict[str, tuple[int, int, int]]:
    palette: dict[str, tuple[int, int, int]] = {}
    for result in results:
        if result is not None:
            for name, colour in zip(result.classes, result.palette, strict=True):
                palette.setdefault(name, colour)
    return palette
