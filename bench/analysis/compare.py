"""Two results folders, trial by trial: what changed between two commits, machines or versions."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import metrics
from bench.analysis.scales import RATIO, Scale, scale_of
from bench.analysis.stats.sample import Sample, describe
from bench.errors import UserError
from bench.measurements import Measurement
from bench.store.folder import Store
from bench.store.frame import DONE, Results, text
from bench.store.loading import load
from bench.store.records import Record

_ENVIRONMENT = ("device_name", "cpu", "torch", "cuda", "python", "threads")


@dataclass(frozen=True)
class ArmChange:
    """One arm in both folders, over the seeds that finished in both.

    Attributes:
        arm: its label in the first folder.
        first: mean of the metric there.
        second: mean of it in the second folder.
        change: of the metric from first to second, by seed, in amounts of the scale.
        time: logarithms of the ratios of the times that the trials took.
        lost: seeds that finished in the first folder and failed in the second.
        worse: whether the mean got worse by more than the tolerance, or a seed was lost.
    """

    arm: str
    first: float
    second: float
    change: Sample
    time: Sample
    lost: tuple[int, ...]
    worse: bool

    def cells(self, *, relative: bool) -> tuple[str, str, str, str]:
        """Return both means, the change and the ratio of the times, to be read."""
        change = _ratio(self.change) if relative else _difference(self.change)
        mean = _four_digits if relative else "{:.4f}".format
        return mean(self.first), mean(self.second), change, _ratio(self.time)


@dataclass(frozen=True)
class Changes:
    """An experiment in both folders.

    Attributes:
        metric: what the arms are compared by.
        measurement: what was measured, and how it is compared.
        tolerance: by how much an arm may get worse; a share where changes are ratios.
        arms: those that both folders hold.
        matched: how many trials finished in both.
        identical: how many of them have the same metric to the last digit.
        alone: trials that only one folder has a result of, as text.
        differing: setting or version → (value in the first folder, in the second), where
            those of any matched trials differ.
    """

    metric: str
    measurement: Measurement
    tolerance: float
    arms: tuple[ArmChange, ...]
    matched: int
    identical: int
    alone: tuple[str, ...]
    differing: Mapping[str, tuple[str, str]]

    @property
    def relative(self) -> bool:
        """Whether changes are ratios, as those of speeds, or differences."""
        return self.measurement.ratios

    @property
    def complaints(self) -> list[str]:
        """A line for each arm that got worse."""
        allowed = f"{self.tolerance:.1%}" if self.relative else f"{self.tolerance:g}"
        lines = []
        for arm in self.arms:
            if arm.lost:
                lost = f"{self.measurement.replicate} {', '.join(map(str, arm.lost))}"
                lines.append(f"{arm.arm}: {lost} finished in A and failed in B")
            elif arm.worse:
                change = arm.cells(relative=self.relative)[2]
                lines.append(f"{arm.arm}: {self.metric} {change}, more than {allowed} worse")
        return lines


def pairs(first: Path, second: Path) -> tuple[list[tuple[str, Store, Store]], list[str]]:
    """Find the experiments that two folders share.

    A folder is an experiment's (it holds ``plan.json``), or holds such folders; of two of the
    latter kind, experiments of one name belong together.

    Returns:
        (name, first store, second store) of each, and the names that only one folder has.

    Raises:
        UserError: if a folder holds no results, or they share no experiment.
    """
    ours, theirs = _experiments(first), _experiments(second)
    if ("" in ours) != ("" in theirs):
        raise UserError(f"{first} and {second}: one is an experiment, the other holds several")
    if "" in ours:
        return [(ours[""].folder.name, ours[""], theirs[""])], []
    shared = [name for name in ours if name in theirs]
    if not shared:
        raise UserError(f"{first} and {second}: no experiment is in both")
    alone = sorted(ours.keys() ^ theirs.keys())
    return [(name, ours[name], theirs[name]) for name in shared], alone


def compare(first: Store, second: Store, tolerance: float | None = None) -> Changes:
    """Match the trials of two stores by arm and seed, and compare them.

    Args:
        first: what is taken as given.
        second: what may have become worse.
        tolerance: how much worse an arm's mean may be; a default by what was measured.

    Raises:
        UserError: if a store cannot be read, or they are about different things.
    """
    one, two = load(first), load(second)
    for key in ("measure", "metric"):
        if one.plan[key] != two.plan[key]:
            raise UserError(
                f"{first.folder} and {second.folder}: {key} is {one.plan[key]} in one, "
                f"{two.plan[key]} in the other"
            )
    measurement, metric = one.measurement, one.metric
    allowed = measurement.tolerance if tolerance is None else tolerance
    if measurement.ratios and allowed >= 1:
        raise UserError(f"--tolerance {allowed:g}: of a speed it is a share, so below 1")
    ours, theirs = _trials(one), _trials(two)
    both = [key for key in ours if key in theirs]
    done = [key for key in both if ours[key].status == theirs[key].status == DONE]
    alone = [f"{arm}, {measurement.replicate} {seed}" for arm, seed in _alone(ours, theirs)]
    arms = [
        _arm(label, signature, ours, theirs, metric, scale=scale_of(measurement), tolerance=allowed)
        for label, signature in _signatures(one).items()
        if any(key[0] == signature for key in both)
    ]
    values = [(_value(ours[key], metric), _value(theirs[key], metric)) for key in done]
    return Changes(
        metric=metric,
        measurement=measurement,
        tolerance=allowed,
        arms=tuple(arms),
        matched=len(done),
        identical=sum(a == b for a, b in values),
        alone=tuple(alone),
        differing=_differing([(ours[key], theirs[key]) for key in both]),
    )


def _experiments(folder: Path) -> dict[str, Store]:
    """Return name → store; one without a name if the folder is an experiment's itself."""
    if (folder / "plan.json").is_file():
        return {"": Store(folder)}
    found = {path.parent.name: Store(path.parent) for path in sorted(folder.glob("*/plan.json"))}
    if not found:
        raise UserError(f"{folder}: no experiment has been run here")
    return found


Key = tuple[str, int]  # signature of an arm, seed


def _signatures(results: Results) -> dict[str, str]:
    return {label: json.dumps(arm, sort_keys=True) for label, arm in results.arms.items()}


def _trials(results: Results) -> dict[Key, Record]:
    """Return every planned trial that has a record, in the order of the plan."""
    signatures = _signatures(results)
    rows = results.trials[["key", "arm", "seed"]].itertuples(index=False)
    return {
        (signatures[arm], int(seed)): results.records[key]
        for key, arm, seed in rows
        if key in results.records
    }


def _alone(ours: Mapping[Key, Record], theirs: Mapping[Key, Record]) -> Iterator[tuple[str, int]]:
    for one, other in ((ours, theirs), (theirs, ours)):
        yield from ((one[key].label, key[1]) for key in one if key not in other)


def _arm(
    label: str,
    signature: str,
    ours: Mapping[Key, Record],
    theirs: Mapping[Key, Record],
    metric: str,
    *,
    scale: Scale,
    tolerance: float,
) -> ArmChange:
    keys = [key for key in ours if key[0] == signature and key in theirs]
    finished = [key for key in keys if ours[key].status == DONE]
    lost = tuple(key[1] for key in finished if theirs[key].status != DONE)
    done = [key for key in finished if key[1] not in lost]
    first = np.array([_value(ours[key], metric) for key in done], dtype=np.float64)
    second = np.array([_value(theirs[key], metric) for key in done], dtype=np.float64)
    change = describe(scale.into(second) - scale.into(first))
    loss = -change.mean if metrics.find(metric).higher_is_better else change.mean
    allowed = -math.log1p(-tolerance) if scale.logarithmic else tolerance
    return ArmChange(
        arm=label,
        first=describe(first).mean,
        second=describe(second).mean,
        change=change,
        time=describe(_log_ratio(theirs[key].seconds, ours[key].seconds) for key in done),
        lost=lost,
        worse=bool(lost) or loss > allowed,
    )


def _value(record: Record, metric: str) -> float:
    value = record.metric(metric)
    return math.nan if value is None else float(value)


def _log_ratio(value: float, base: float) -> float:
    return math.log(value / base) if value > 0 and base > 0 else math.nan


def _differing(matched: list[tuple[Record, Record]]) -> dict[str, tuple[str, str]]:
    """Return what differs between matched trials, with the values that most of them have."""
    seen: dict[str, Counter[tuple[str, str]]] = {}
    for one, two in matched:
        a, b = _flat(one), _flat(two)
        for name in a.keys() | b.keys():
            if a.get(name) != b.get(name):
                found = a.get(name, "–"), b.get(name, "–")
                seen.setdefault(name, Counter())[found] += 1
    return {name: seen[name].most_common(1)[0][0] for name in sorted(seen)}


def _difference(sample: Sample) -> str:
    if math.isnan(sample.mean):
        return "–"
    ends = "" if sample.n < 2 else f" [{sample.low:+.4f}, {sample.high:+.4f}]"
    return f"{sample.mean:+.4f}{ends}"


def _ratio(sample: Sample) -> str:
    """Write logarithms of ratios as a ratio."""
    if math.isnan(sample.mean):
        return "–"
    mean, low, high = (
        RATIO.written(RATIO.shown(value), 3) for value in (sample.mean, sample.low, sample.high)
    )
    return f"{mean} ×" + ("" if sample.n < 2 else f" [{low}, {high}]")


def _four_digits(value: float) -> str:
    if math.isnan(value):
        return "–"
    decimals = 3 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{max(0, decimals)}f}"


def _flat(record: Record) -> dict[str, str]:
    """Return settings, digests and versions of a record by their dotted names."""
    found = {name: record.environment[name] for name in _ENVIRONMENT if name in record.environment}
    found |= record.provenance

    def walk(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            if isinstance(value, Mapping):
                yield from walk(value, f"{prefix}{name}.")
            else:
                yield prefix + name, value

    found |= dict(walk(record.settings, ""))
    return {name: text(value) for name, value in found.items() if value is not None}
