"""The one registry of metrics: what each is called, its unit, and which way it gets better.

A metric of one class is written with its name: ``iou[car]``. A metric that has a value for each
class, written without one, is the mean over the classes that have a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from bench.errors import UserError, nearest

_OF_CLASS = re.compile(r"(?P<metric>[a-z_]+)\[(?P<label>.+)\]")


@dataclass(frozen=True)
class Metric:
    """A number that a trial gives and that an experiment may be about.

    It is ``of`` a ``trial``; of a ``dataset`` where only some datasets have it; of a ``batch``
    where batches of different size cannot be compared by it.
    """

    name: str  # in experiment files, records and CSV files
    label: str  # in reports
    unit: str = ""  # in reports; empty for a score between 0 and 1
    measure: str = "accuracy"  # the measurement that gives it
    higher_is_better: bool = True
    per_class: bool = False  # whether a record holds a value for each class
    of: Literal["trial", "dataset", "batch"] = "trial"


def find(name: str) -> Metric:
    """Return the metric of a name; of ``iou[car]`` the one of ``iou``.

    UserError if there is none, or it has no value for a single class.
    """
    base, label = split(name)
    if is_own(name):
        return Metric(name, _own_label(name))
    if base not in METRICS:
        raise UserError(f"metric: unknown metric {name!r}{nearest(base, METRICS)}")
    if label is not None and not METRICS[base].per_class:
        known = (each.name for each in METRICS.values() if each.per_class)
        raise UserError(f"metric: {base} has no value for a single class; {', '.join(known)} have")
    return METRICS[base]


def is_own(name: str) -> bool:
    """Tell whether a metric is a user's own, such as ``my_pkg.scores:hausdorff``."""
    return ":" in name and split(name)[1] is None


def _own_label(name: str) -> str:
    return name.rpartition(":")[2].replace("_", " ")


def split(name: str) -> tuple[str, str | None]:
    """Return the metric's own name and the class: ``iou[car]`` → ``iou``, ``car``."""
    found = _OF_CLASS.fullmatch(name)
    return (found["metric"], found["label"]) if found else (name, None)


def label(name: str) -> str:
    """Return what a metric, or another column of numbers, is called in a report."""
    base, of_class = split(name)
    known = METRICS.get(base)
    if of_class is not None:
        return f"{known.label.removeprefix('mean ') if known else base} of {of_class}"
    if known is not None:
        return known.label
    if is_own(name):
        return _own_label(name)
    whole = _whole(base)
    if whole is not None:
        return whole.label + base.removeprefix(whole.name).replace("_", " ")
    return base.replace("_", " ")


def possible(name: str, value: float) -> bool:
    """Tell whether a metric may have a value: a score is a share, what is timed is above 0."""
    known = METRICS.get(name) or _whole(name)
    if known is None:
        return True
    return 0 <= value <= 1 if known.measure == "accuracy" else value > 0


def _whole(name: str) -> Metric | None:
    """Return the metric that another one is a part of: of ``v_rand_split`` that of ``v_rand``."""
    return next((one for one in METRICS.values() if name.startswith(f"{one.name}_")), None)


def heading(name: str) -> str:
    """Return the label of a metric with its unit, for an axis or a column."""
    known = METRICS.get(split(name)[0])
    return f"{label(name)}, {known.unit}" if known and known.unit else label(name)


def value(found: Mapping[str, Any], name: str, classes: Iterable[str] = ()) -> float | int | None:
    """Return a metric's value among those of a record; None where it has no such value.

    ``found`` is metric → number, or a list with a number for each of ``classes`` in their order;
    None where undefined.
    """
    base, of_class = split(name)
    stored = found.get(base)
    if not isinstance(stored, list | tuple):
        return stored if of_class is None else None
    if of_class is not None:
        return dict(zip(classes, stored, strict=True)).get(of_class)
    defined = [one for one in stored if one is not None]
    return fmean(defined) if defined else None


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mean_iou", "mean IoU"),
        Metric("iou", "mean IoU", per_class=True),
        Metric("dice", "mean Dice", per_class=True),
        Metric("precision", "mean precision", per_class=True),
        Metric("recall", "mean recall", per_class=True),
        Metric("mean_boundary_iou", "mean boundary IoU"),
        Metric("boundary_iou", "mean boundary IoU", per_class=True),
        Metric("frequency_weighted_iou", "frequency-weighted IoU"),
        Metric("pixel_accuracy", "pixel accuracy"),
        Metric("mean_class_accuracy", "mean class accuracy"),
        Metric("v_rand", "V_rand", of="dataset"),
        Metric("v_info", "V_info", of="dataset"),
        Metric("pixel_error", "pixel error", of="dataset", higher_is_better=False),
        Metric("images_per_second", "throughput", "images/s", measure="throughput"),
        Metric("milliseconds", "time of a call", "ms", "throughput", False, of="batch"),
        Metric("peak_gigabytes", "peak memory", "GB", "throughput", False, of="batch"),
        Metric("roofline_share", "share of roofline", measure="throughput"),
        Metric("joules_per_image", "energy per image", "J", "throughput", False),
    )
}
