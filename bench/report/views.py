"""The tables of a report as plain text: the same for every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench import tables
from bench.frame import DONE, Results, spoken, text


@dataclass(frozen=True)
class Table:
    """A table of plain text, not yet escaped for any format; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def arm_table(results: Results) -> Table:
    """Return the main table: a row for each arm."""
    extra = [
        name
        for name in ("mean_iou", "pixel_accuracy")
        if name in results.scores and name != results.metric
    ]
    rows = []
    for row in _rows(tables.arms(results)):
        rows.append(
            (
                row["arm"] + " (baseline)" * row["baseline"],
                _spread(row[f"{results.metric}_mean"], row[f"{results.metric}_sd"]),
                str(row["n"]),
                _range(row["classes_averaged_min"], row["classes_averaged_max"]),
                *(_spread(row[f"{name}_mean"], row[f"{name}_sd"]) for name in extra),
                _whole(row["parameters"]),
                _seconds(row["seconds_mean"]),
                row["without_result"],
            )
        )
    return _table(
        [
            *("arm", spoken(results.metric), "n", "classes averaged"),
            *map(spoken, extra),
            *("parameters", "seconds", "without result"),
        ],
        rows,
        drop_empty="without result",
    )


def level_table(results: Results) -> Table:
    """Return a row for each level of each factor."""
    rows = [
        (
            row["factor"],
            row["level"] + " (baseline)" * row["baseline"],
            _spread(row["mean"], row["sd"]),
            str(row["n"]),
            _shortened(row["without_result"].split(", ")),
        )
        for row in _rows(tables.levels(results))
    ]
    columns = ["factor", "level", spoken(results.metric), "n", "without result"]
    return _table(columns, rows, drop_empty="without result")


def trial_table(results: Results) -> Table:
    """Return a row for every trial of the plan."""
    scores = list(results.scores)
    columns = ["arm", "seed", "status", *scores, "classes_averaged", "chosen_epoch", "seconds"]
    frame = results.trials.reindex(columns=columns)
    rows = [
        (
            row["arm"],
            str(row["seed"]),
            row["status"],
            *(_number(row[name]) for name in scores),
            _whole(row["classes_averaged"]),
            _whole(row["chosen_epoch"]),
            _seconds(row["seconds"]),
        )
        for row in _by_arm(results, frame)
    ]
    return _table(map(spoken, columns), rows)


def missing_table(results: Results) -> Table:
    """Return a row for every trial that has no result, with the reason."""
    frame = results.trials[results.trials["status"] != DONE]
    rows = [
        (
            row["arm"],
            str(row["seed"]),
            row["status"],
            "" if pd.isna(row["reason"]) else str(row["reason"]),
        )
        for row in _by_arm(results, frame)
    ]
    return _table(["arm", "seed", "status", "reason"], rows)


def class_table(results: Results) -> Table:
    """Return mean IoU by class and arm, whichever there are more of going down."""
    frame = tables.per_class(results)
    if "iou_mean" not in frame or frame.empty:
        return Table((), ())
    means = frame["iou_mean"].to_numpy().reshape(len(results.arms), len(results.palette))
    down, across = list(results.palette), list(results.arms)
    if len(down) < len(across):
        down, across = across, down
    else:
        means = means.T
    rows = [(name, *map(_number, row)) for name, row in zip(down, means.tolist(), strict=True)]
    return _table(["", *across], rows)


def dropped_table(results: Results) -> Table:
    """Return how many images each arm trained on, and left out, where any did."""
    rows = [
        (row["arm"], _whole(row["train_images"]), _whole(row["dropped_images"]))
        for row in _rows(tables.arms(results))
    ]
    left_out = any(row[2] not in ("0", "–") for row in rows)
    return _table(["arm", "trained on", "left out"], rows if left_out else [])


def origin_table(results: Results) -> Table:
    """Return versions, devices and digests; where trials differ, how many have which."""
    collected: dict[str, Counter[str]] = {}
    for record in results.records.values():
        for name, value in (*_flat(record.environment), *_flat(record.provenance)):
            collected.setdefault(name, Counter())[value] += 1
    rows = [
        (
            name,
            next(iter(values))
            if len(values) == 1
            else ", ".join(
                f"{v} ({n} of {len(results.records)} trials)" for v, n in values.items()
            ),
        )
        for name, values in collected.items()
    ]
    return _table(["", "value"], rows)


def settings_table(results: Results) -> Table:
    """Return the settings that all measured trials share."""
    shared: dict[str, str] | None = None
    for record in results.records.values():
        own = dict(_flat(record.settings))
        shared = own if shared is None else dict(shared.items() & own.items())
    return _table(["setting", "value"], sorted((shared or {}).items()))


def _table(
    columns: Iterable[str], rows: Iterable[tuple[str, ...]], *, drop_empty: str | None = None
) -> Table:
    """Build a table, without the column ``drop_empty`` where all of it is empty."""
    names, cells = list(columns), [list(row) for row in rows]
    if drop_empty is not None and not any(row[names.index(drop_empty)] for row in cells):
        at = names.index(drop_empty)
        names = names[:at] + names[at + 1 :]
        cells = [row[:at] + row[at + 1 :] for row in cells]
    return Table(tuple(names), tuple(map(tuple, cells)))


def _by_arm(results: Results, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of one arm together, whatever the order of the plan."""
    place = {label: i for i, label in enumerate(results.arms)}
    return sorted(_rows(frame), key=lambda row: place[row["arm"]])


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, text(value)


def _number(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f}"


def _spread(mean: float, sd: float) -> str:
    return _number(mean) if pd.isna(sd) else f"{_number(mean)} ± {_number(sd)}"


def _whole(value: Any) -> str:
    return "–" if pd.isna(value) else f"{int(value):,}"


def _range(low: Any, high: Any) -> str:
    return _whole(low) if pd.isna(low) or low == high else f"{_whole(low)}–{_whole(high)}"


def _seconds(value: float) -> str:
    return "–" if pd.isna(value) else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def _shortened(names: list[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
