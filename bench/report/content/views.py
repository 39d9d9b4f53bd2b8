"""The tables of a report: of arms, levels, trials and classes, and of settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.report.content.facts import stops_early
from bench.report.content.numbers import seconds, whole
from bench.report.content.table import Column, Table, of_metric, picked, table
from bench.report.tables import summaries
from bench.store.frame import DONE
from bench.store.labels import text

# Scores that stand beside the metric, where trials have them.
FURTHER = ("mean_iou", "pixel_accuracy", "mean_class_accuracy", "v_rand", "v_info", "pixel_error")

_ARM, _N = Column("arm", "arm"), Column("n", "n", "number", whole)
_INTERVAL = Column("interval", "95 % interval", "interval")
_WITHOUT = Column("without_result", "without result", optional=True)
_STATUS = Column("status", "status")
_EPOCHS = ("epochs_min", "epochs_max")
_SECONDS = Column("seconds", "seconds", "number", seconds)


def arm_table(results: Analysis) -> Table:
    """Return the main table: a row for each arm."""
    frame, metric = summaries.arms(results), results.metric
    extra = [name for name in FURTHER if name in results.scores and name != metric]
    if "pixel_error" in extra:  # what membranes are judged by; arms.csv has the rest
        extra = [name for name in extra if not name.endswith("_accuracy")]
    averaged = Column("classes_averaged", "classes averaged", "range")
    low, high = "classes_averaged_min", "classes_averaged_max"
    epochs = Column("epochs", "epochs trained", "range")
    return table(
        (_ARM, _marked(frame, "arm")),
        _spread(frame, metric),
        (_N, frame["n"]),
        (_INTERVAL, _pairs(frame, "low", "high")),
        *([(averaged, _pairs(frame, low, high))] if results.measurement.trains else []),
        *([(epochs, _pairs(frame, *_EPOCHS))] if stops_early(results) else []),
        *(_spread(frame, name) for name in extra),
        *picked(frame, Column("parameters", "parameters", "number", whole)),
        (_SECONDS, frame["seconds_mean"]),
        (_WITHOUT, frame["without_result"]),
    )


def level_table(results: Analysis) -> Table:
    """Return a row for each level of each factor; no rows where each level is one arm."""
    frame = summaries.levels(results)
    if frame.empty or frame["arms"].max() < 2:
        return Table()
    return table(
        *picked(frame, Column("factor", "factor")),
        (Column("level", "level"), _marked(frame, "level")),
        (of_metric(results.metric, "spread"), _pairs(frame, "seed_mean", "seed_sd")),
        *picked(frame, Column("df", "df", "number", whole)),
        (_INTERVAL, _pairs(frame, "low", "high")),
        (_N, frame["n"]),
        (_WITHOUT, frame["without_result"].map(_named)),
    )


def trial_table(results: Analysis) -> Table:
    """Return a row for every trial of the plan."""
    counts = ["classes_averaged", "chosen_epoch"] if results.measurement.trains else []
    counts += ["epochs"] if stops_early(results) else []
    frame = _by_arm(results, results.trials)
    frame = frame.reindex(columns=["arm", "seed", "status", *results.scores, *counts, "seconds"])
    scores = map(of_metric, results.scores)
    whole_numbers = (of_metric(name, write=whole) for name in counts)
    return table(
        *picked(frame, _ARM, _replicate(results), _STATUS, *scores, *whole_numbers, _SECONDS)
    )


def missing_table(results: Analysis) -> Table:
    """Return a row for every trial that has no result, with the reason."""
    frame = _by_arm(results, results.trials[results.trials["status"] != DONE])
    reason = Column("reason", "reason")
    return table(*picked(frame, _ARM, _replicate(results), _STATUS, reason))


def class_table(results: Analysis) -> Table:
    """Return mean IoU by class and arm, whichever there are more of going down."""
    frame = summaries.per_class(results)
    if "iou_mean" not in frame or frame.empty:
        return Table()
    means = frame["iou_mean"].to_numpy().reshape(len(results.arms), len(results.palette))
    down, across = list(results.arms), list(results.palette)
    first = "arm"
    if len(results.palette) >= len(results.arms):
        down, across, means, first = across, down, means.T, "class"
    columns = [(Column(f"{i}", name, "number"), means[:, i]) for i, name in enumerate(across)]
    return table((Column(first, first), down), *columns)


def dropped_table(results: Analysis) -> Table:
    """Return how many images each arm trained on, and left out, where any did."""
    frame = summaries.arms(results)
    if not results.measurement.trains or not frame["dropped_images"].fillna(0).any():
        return Table()
    trained_on = Column("train_images", "trained on", "number", whole)
    left_out = Column("dropped_images", "left out", "number", whole)
    return table(*picked(frame, _ARM, trained_on, left_out))


def origin_table(results: Analysis) -> Table:
    """Return versions, devices and digests; where trials differ, how many have which."""
    collected: dict[str, Counter[str]] = {}
    for record in results.records.values():
        for name, value in (*_flat(record.environment), *_flat(record.provenance)):
            collected.setdefault(name, Counter())[value] += 1
    of_all = f"of {len(results.records)} trials"
    found = [
        ", ".join(
            f"{value} ({n} {of_all})" if len(values) > 1 else value for value, n in values.items()
        )
        for values in collected.values()
    ]
    return table((Column("item", "item"), collected), (Column("value", "value"), found))


def settings_table(results: Analysis) -> Table:
    """Return the settings that all measured trials share."""
    settings = [set(_flat(record.settings)) for record in results.records.values()]
    shared = dict(sorted(set.intersection(*settings))) if settings else {}
    if label := results.plan.labels.datasets.get(shared.get("data.name", "")):
        shared["data.name"] += f" ({label})"
    values = (Column("value", "value"), shared.values())
    return table((Column("setting", "setting"), shared), values)


def _replicate(results: Analysis) -> Column:
    return Column("seed", results.measurement.replicate, "number", whole)


def _marked(frame: pd.DataFrame, name: str) -> pd.Series[str]:
    """Return arms or levels, the baseline marked as such."""
    return frame[name] + frame["baseline"].map({True: " (baseline)", False: ""})


def _spread(frame: pd.DataFrame, metric: str) -> tuple[Column, list[tuple[Any, ...]]]:
    return of_metric(metric, "spread"), _pairs(frame, f"{metric}_mean", f"{metric}_sd")


def _pairs(frame: pd.DataFrame, *names: str) -> list[tuple[Any, ...]]:
    return list(frame[list(names)].itertuples(index=False, name=None))


def _named(trials: str) -> str:
    """Return trials by name, or how many there are where that would be long."""
    count = len(trials.split(", "))
    return trials if count < 4 else f"{count} trials"


def _by_arm(results: Analysis, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of one arm together, whatever the order of the plan."""
    place = {label: i for i, label in enumerate(results.arms)}
    return frame.sort_values("arm", key=lambda arms: arms.map(place), kind="stable")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:
            yield prefix + name, text(value)
