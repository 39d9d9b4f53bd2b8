"""The tables of a report as plain text: the same for every format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.content.cells import Table, between, number, seconds, span, spread, table, whole
from bench.report.content.effect_views import (
    anova_table,
    effect_table,
    image_table,
    interaction_table,
)
from bench.report.tables import registry
from bench.store.frame import DONE, text

__all__ = [
    "Table",
    "anova_table",
    "arm_table",
    "class_table",
    "dropped_table",
    "effect_table",
    "image_table",
    "interaction_table",
    "level_table",
    "missing_table",
    "origin_table",
    "settings_table",
    "trial_table",
]


# Scores that stand beside the metric, where trials have them.
FURTHER = ("mean_iou", "pixel_accuracy", "mean_class_accuracy", "v_rand", "v_info", "pixel_error")


def arm_table(results: Analysis) -> Table:
    """Return the main table: a row for each arm."""
    extra = [name for name in FURTHER if name in results.scores and name != results.metric]
    if "pixel_error" in extra:  # what membranes are judged by; arms.csv has the rest
        extra = [name for name in extra if not name.endswith("_accuracy")]
    rows = []
    for row in _rows(registry.arms(results)):
        rows.append(
            (
                row["arm"] + " (baseline)" * row["baseline"],
                spread(row[f"{results.metric}_mean"], row[f"{results.metric}_sd"]),
                str(row["n"]),
                between(row["low"], row["high"]),
                *([_averaged(row)] if results.measurement.trains else []),
                *(spread(row[f"{name}_mean"], row[f"{name}_sd"]) for name in extra),
                whole(row["parameters"]),
                seconds(row["seconds_mean"]),
                row["without_result"],
            )
        )
    return table(
        [
            *("arm", metrics.label(results.metric), "n", "95 % interval"),
            *(["classes averaged"] if results.measurement.trains else []),
            *map(metrics.label, extra),
            *("parameters", "seconds", "without result"),
        ],
        rows,
        drop_empty=["without result"],
    )


def level_table(results: Analysis) -> Table:
    """Return a row for each level of each factor; no rows where each level is one arm."""
    frame = registry.levels(results)
    rows = [
        (
            row["factor"],
            row["level"] + " (baseline)" * row["baseline"],
            spread(row["seed_mean"], row["seed_sd"]),
            whole(row["df"]),
            between(row["low"], row["high"]),
            str(row["n"]),
            _named(row["without_result"].split(", ")),
        )
        for row in _rows(frame)
        if frame["arms"].max() > 1
    ]
    columns = [*("factor", "level", metrics.label(results.metric), "df", "95 % interval", "n")]
    return table([*columns, "without result"], rows, drop_empty=["without result"])


def trial_table(results: Analysis) -> Table:
    """Return a row for every trial of the plan."""
    scores = list(results.scores)
    counts = ["classes_averaged", "chosen_epoch"] if results.measurement.trains else []
    columns = ["arm", "seed", "status", *scores, *counts, "seconds"]
    frame = results.trials.reindex(columns=columns)
    rows = [
        (
            row["arm"],
            str(row["seed"]),
            row["status"],
            *(number(row[name]) for name in scores),
            *(whole(row[name]) for name in counts),
            seconds(row["seconds"]),
        )
        for row in _by_arm(results, frame)
    ]
    named = {"seed": results.measurement.replicate}
    return table((metrics.label(named.get(name, name)) for name in columns), rows)


def missing_table(results: Analysis) -> Table:
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
    return table(["arm", results.measurement.replicate, "status", "reason"], rows)


def class_table(results: Analysis) -> Table:
    """Return mean IoU by class and arm, whichever there are more of going down."""
    frame = registry.per_class(results)
    if "iou_mean" not in frame or frame.empty:
        return Table((), ())
    means = frame["iou_mean"].to_numpy().reshape(len(results.arms), len(results.palette))
    down, across = list(results.palette), list(results.arms)
    if len(down) < len(across):
        down, across = across, down
    else:
        means = means.T
    rows = [(name, *map(number, row)) for name, row in zip(down, means.tolist(), strict=True)]
    return table(["", *across], rows)


def dropped_table(results: Analysis) -> Table:
    """Return how many images each arm trained on, and left out, where any did."""
    rows = [
        (row["arm"], whole(row["train_images"]), whole(row["dropped_images"]))
        for row in _rows(registry.arms(results))
        if results.measurement.trains
    ]
    left_out = any(row[2] not in ("0", "–") for row in rows)
    return table(["arm", "trained on", "left out"], rows if left_out else [])


def origin_table(results: Analysis) -> Table:
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
    return table(["", "value"], rows)


def settings_table(results: Analysis) -> Table:
    """Return the settings that all measured trials share."""
    shared: dict[str, str] | None = None
    for record in results.records.values():
        own = dict(_flat(record.settings))
        shared = own if shared is None else dict(shared.items() & own.items())
    return table(["setting", "value"], sorted((shared or {}).items()))


def _averaged(row: Mapping[str, Any]) -> str:
    return span(row["classes_averaged_min"], row["classes_averaged_max"])


def _named(trials: list[str]) -> str:
    """Return trials by name, or how many there are where that would be long."""
    return ", ".join(trials) if len(trials) < 4 else f"{len(trials)} trials"


def _by_arm(results: Analysis, frame: pd.DataFrame) -> list[dict[str, Any]]:
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
