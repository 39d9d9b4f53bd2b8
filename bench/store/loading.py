"""A results folder → what reports are made of, as far as it can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bench.errors import UserError
from bench.store.checks import Contradicted, sampled
from bench.store.damage import check_blob
from bench.store.details import Details
from bench.store.folder import Store
from bench.store.frame import DONE, NOT_RUN, Results, Row, typed
from bench.store.image_counts import collector_paused
from bench.store.labels import Labels
from bench.store.plans import Plan, PlannedTrial
from bench.store.records import Record
from bench.store.results import AccuracyResult

Refuse = Callable[[Record], str | None]  # why a record is not to be used, or None

_TRIAL = ("key", "arm", "seed", "status", "reason", "seconds")
_CLASS = ("key", "arm", "seed", "class")
_EPOCH = ("key", "arm", "seed", "status", "epoch", "train_loss", "learning_rate", "seconds")


def load(store: Store, *, refuse: Refuse = lambda record: None) -> Results:
    """Read a results folder; UserError if it holds no experiment, or its plan is damaged.

    A record of which ``refuse`` says why it is none of these results counts as not there.
    """
    plan = store.read_plan()
    if plan is None:
        others = ", ".join(sorted(path.parent.name for path in store.folder.glob("*/plan.json")))
        inside = f"; in it are {others}" if others else ""
        raise UserError(f"{store.folder}: holds no experiment (there is no plan.json){inside}")
    return of_plan(store, plan, refuse=refuse)


@collector_paused()
def of_plan(store: Store, plan: Plan, *, refuse: Refuse = lambda record: None) -> Results:
    """Read what a results folder holds of a plan, which need not be the one stored there."""
    planned = plan.labelled()
    records, damaged = _used(store, plan, refuse)
    trials, classes, history, counts = [], [], [], {}
    for trial in planned:  # in one pass: details are by far the largest files
        head: Row = {"key": trial.key, "arm": trial.label, "seed": trial.seed}
        record = records.get(trial.key)
        if record is None:
            trials.append({**head, "status": NOT_RUN})
            continue
        try:
            details, packed = sampled(store, record)
        except Contradicted as error:
            damaged.append(str(error))
            del records[trial.key]
            trials.append({**head, "status": NOT_RUN})
            continue
        except UserError as error:
            damaged.append(str(error))
            details, packed = Details(), None
        trials.append({**head, **_numbers(record, plan.metric)})
        classes += [{**head, **row} for row in _by_class(record.accuracy, plan.labels)]
        history += [{**head, "status": record.status, **row} for row in _epochs(details)]
        if packed is not None and record.status == DONE:
            counts[record.key] = packed
    damaged += _without_damaged_pictures(store, planned, records)
    return Results(
        store=store,
        plan=plan,
        arms={
            trial.label: {name: plan.labels.level(name, level) for name, level in trial.arm.items()}
            for trial in planned
        },
        records=records,
        trials=typed(trials, (*_TRIAL, plan.metric)),
        classes=typed(classes, _CLASS),
        history=typed(history, _EPOCH),
        counts=counts,
        scores=_scores(plan.metric, records.values()),
        palette=_palette(
            (records[t.key].accuracy for t in planned if t.key in records), plan.labels
        ),
        unplanned=len(store.keys() - plan.keys),
        damaged=tuple(damaged),
    )


def _used(store: Store, plan: Plan, refuse: Refuse) -> tuple[dict[str, Record], list[str]]:
    """Return the records that are used, and a line for each other one of the plan."""
    records, problems = store.of_plan(plan.model_copy(update={"tuning": None}))
    refused = {key: why for key, record in records.items() if (why := refuse(record))}
    kept = {key: record for key, record in records.items() if key not in refused}
    return kept, [*problems, *refused.values()]


def _without_damaged_pictures(
    store: Store, planned: Iterable[PlannedTrial], records: dict[str, Record]
) -> list[str]:
    """Take damaged pictures out of the records that a report shows pictures of; say which.

    Of every arm these are the pictures of its first trial that has any.
    """
    damaged: list[str] = []
    shown: set[str] = set()
    for trial in planned:
        record = records.get(trial.key)
        if record is None or record.accuracy is None or trial.label in shown:
            continue
        intact = []
        for example in record.accuracy.examples:
            problems = [why for blob in example.blobs for _, why in check_blob(store, blob)]
            damaged += problems
            intact += [] if problems else [example]
        result = record.accuracy.model_copy(update={"examples": tuple(intact)})
        records[trial.key] = record.model_copy(update={"result": result})
        if intact:
            shown.add(trial.label)
    return list(dict.fromkeys(damaged))


def _numbers(record: Record, metric: str) -> Row:
    """Return status, times, counts and whatever else a trial has a single value of."""
    row: Row = {"status": record.status, "reason": record.reason, "seconds": record.seconds}
    if record.result is not None:
        stored = record.result.model_dump(exclude={"examples", "states"})
        row |= {n: v for n, v in stored.items() if not isinstance(v, dict | list | tuple)}
        row |= {n: v for n, v in record.result.metrics.items() if not isinstance(v, list)}
        row |= record.result.counts
        row[metric] = record.metric(metric)
    return row


def _by_class(result: AccuracyResult | None, labels: Labels) -> list[Row]:
    if result is None:
        return []
    columns = {name: v for name, v in result.metrics.items() if isinstance(v, list)}
    return [
        {"class": name, **{column: values[i] for column, values in columns.items()}}
        for i, name in enumerate(labels.of_classes(result.classes))
    ]


def _epochs(details: Details) -> list[Row]:
    """Return a row for each epoch of a trial."""
    return [
        {
            "epoch": row.epoch,
            "train_loss": row.train_loss,
            "learning_rate": row.learning_rate,
            "seconds": row.seconds,
            **row.metrics,
        }
        for row in details.history
    ]


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


def _palette(
    results: Iterable[AccuracyResult | None], labels: Labels
) -> dict[str, tuple[int, int, int]]:
    palette: dict[str, tuple[int, int, int]] = {}
    for result in results:
        if result is not None:
            for name, colour in zip(labels.of_classes(result.classes), result.palette, strict=True):
                palette.setdefault(name, colour)
    return palette
