"""Two results folders, trial by trial: what changed between two commits, machines or versions."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.analysis.scales import RATIO, scale_of
from bench.analysis.stats.sample import Sample, describe
from bench.errors import UserError
from bench.measurements import Measurement
from bench.store.folder import Store
from bench.store.frame import DONE, Results
from bench.store.labels import text
from bench.store.loading import load
from bench.store.plans import Plan
from bench.store.records import Record

_ENVIRONMENT = ("device_name", "cpu", "torch", "cuda", "python", "threads")

Matched = tuple[Record, Record]  # of one trial, in the first and the second folder


@dataclass(frozen=True)
class ArmChange:
    """One arm in both folders, over the seeds that finished in both."""

    arm: str  # its label in the first folder
    first: float  # mean of the metric there
    second: float  # mean of it in the second folder
    change: Sample  # effects on the scale of the measurement, second - first
    time: Sample  # logarithms of the ratios of the times that the trials took
    lost: tuple[int, ...]  # seeds that finished in the first folder and failed in the second
    worse: bool  # by more than the tolerance, or a seed was lost

    def cells(self, *, relative: bool) -> tuple[str, str, str, str]:
        """Return both means, the change and the ratio of the times as text."""
        mean = _four_digits if relative else "{:.4f}".format
        change = _ratio(self.change) if relative else _interval(self.change, "{:+.4f}".format)
        return mean(self.first), mean(self.second), change, _ratio(self.time)


@dataclass(frozen=True)
class Changes:
    """An experiment in both folders."""

    metric: str
    measurement: Measurement
    tolerance: float  # by how much an arm may get worse; a share where changes are ratios
    arms: tuple[ArmChange, ...]  # those that both folders hold
    matched: int  # how many trials finished in both
    identical: int  # how many of them have the same metric to the last digit
    alone: tuple[str, ...]  # trials that only one folder has a result of
    differing: Mapping[str, tuple[str, str]]  # setting or version → in the first, in the second

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

    A folder is that of an experiment (it holds ``plan.json``), or holds such folders; in the
    latter case, experiments of one name belong together.

    Returns (name, first store, second store) of each, and the names that only one folder has.
    UserError if a folder holds no results, or they share no experiment.
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

    ``tolerance`` is how much worse an arm's mean may be in the second; None for the measurement's
    own. UserError if a store cannot be read, or they are about different things.
    """
    one, two = load(first), load(second)
    for key in ("measure", "metric"):
        if (a := getattr(one.plan, key)) != (b := getattr(two.plan, key)):
            folders = f"{first.folder} and {second.folder}"
            raise UserError(f"{folders}: {key} is {a} in one, {b} in the other")
    measurement, metric = one.measurement, one.metric
    allowed = measurement.tolerance if tolerance is None else tolerance
    if measurement.ratios and allowed >= 1:
        raise UserError(f"--tolerance {allowed:g}: a share of the speed, so it has to be below 1")
    ours, theirs = _trials(one), _trials(two)
    matched: dict[str, list[Matched]] = defaultdict(list)
    for signature, seed in (key for key in ours if key in theirs):
        matched[signature].append((ours[signature, seed], theirs[signature, seed]))
    labels = {trial.signature: trial.label for trial in one.plan.labelled()}
    both = [pair for found in matched.values() for pair in found]
    done = [(a, b) for a, b in both if a.status == b.status == DONE]
    one_sided = ours.keys() ^ theirs.keys()
    alone = [record for key, record in (ours | theirs).items() if key in one_sided]
    return Changes(
        metric=metric,
        measurement=measurement,
        tolerance=allowed,
        arms=tuple(
            _arm(label, matched[signature], one.plan, measurement, allowed)
            for signature, label in labels.items()
            if signature in matched
        ),
        matched=len(done),
        identical=sum(a.metric(metric) == b.metric(metric) is not None for a, b in done),
        alone=tuple(f"{each.label}, {measurement.replicate} {each.seed}" for each in alone),
        differing=_differing(both),
    )


def _experiments(folder: Path) -> dict[str, Store]:
    """Return name → store; one without a name if the folder is an experiment's itself."""
    if (folder / "plan.json").is_file():
        return {"": Store(folder)}
    found = {path.parent.name: Store(path.parent) for path in sorted(folder.glob("*/plan.json"))}
    if not found:
        raise UserError(f"{folder}: no experiment has been run here")
    return found


def _trials(results: Results) -> dict[tuple[str, int], Record]:
    """Return (signature of the arm, seed) → record of every planned trial that has one."""
    planned = (trial for trial in results.plan.trials if trial.key in results.records)
    return {(trial.signature, trial.seed): results.records[trial.key] for trial in planned}


def _arm(
    label: str, pairs: Sequence[Matched], plan: Plan, measurement: Measurement, tolerance: float
) -> ArmChange:
    metric = plan.metric
    finished = [(a, b) for a, b in pairs if a.status == DONE]
    done = [(a, b) for a, b in finished if b.status == DONE]
    lost = tuple(a.seed for a, b in finished if b.status != DONE)
    rows = [(a.metric(metric), b.metric(metric), a.seconds, b.seconds) for a, b in done]
    first, second, before, after = np.array(rows, dtype=np.float64).reshape(-1, 4).T
    scale = scale_of(measurement, metric)
    change = describe(scale.into(second) - scale.into(first))
    loss = -change.mean if plan.higher_is_better else change.mean
    allowed = -math.log1p(-tolerance) if scale.logarithmic else tolerance
    return ArmChange(
        arm=label,
        first=describe(first).mean,
        second=describe(second).mean,
        change=change,
        time=describe(RATIO.into(after) - RATIO.into(before)),
        lost=lost,
        worse=bool(lost) or loss > allowed,
    )


def _differing(matched: Sequence[Matched]) -> dict[str, tuple[str, str]]:
    """Return what differs between matched trials, with the values that most of them have."""
    seen: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for one, two in matched:
        a, b = _described(one), _described(two)
        for name in a.keys() | b.keys():
            if a.get(name) != b.get(name):
                seen[name][a.get(name, "–"), b.get(name, "–")] += 1
    return {name: seen[name].most_common(1)[0][0] for name in sorted(seen)}


def _described(record: Record) -> dict[str, str]:
    """Return versions, digests and settings of a record by their dotted names."""
    environment = {name: record.environment.get(name) for name in _ENVIRONMENT}
    found = environment | dict(record.provenance) | dict(_dotted(record.settings))
    return {name: text(value) for name, value in found.items() if value is not None}


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _ratio(sample: Sample) -> str:
    """Write a mean of logarithms of ratios, and its interval, as ratios."""
    return _interval(sample, lambda value: RATIO.written(RATIO.shown(value), 3), " ×")


def _interval(sample: Sample, write: Callable[[float], str], unit: str = "") -> str:
    """Write a mean and its 95 % interval, where it has them."""
    if math.isnan(sample.mean):
        return "–"
    ends = "" if sample.n < 2 else f" [{write(sample.low)}, {write(sample.high)}]"
    return write(sample.mean) + unit + ends


def _four_digits(value: float) -> str:
    if math.isnan(value):
        return "–"
    decimals = 3 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:,.{max(0, decimals)}f}"
