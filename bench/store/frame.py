"""An experiment as tables of samples: one row a trial, a class of a trial, an epoch of a trial."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.measurements import MEASUREMENTS, Measurement
from bench.store.folder import Store
from bench.store.image_counts import Counts
from bench.store.records import Record

DONE = "done"
NOT_RUN = "not run"

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
    def measurement(self) -> Measurement:
        """What kind of measurement its trials are."""
        return MEASUREMENTS[str(self.plan["measure"])]

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


def study_history(results: Results) -> pd.DataFrame:
    """Return the rows of the history in which the study's score was taken too."""
    if "study_iou" not in results.history:
        return results.history.iloc[:0]
    return results.history.dropna(subset=["study_iou", "study_iou_absent", "mean_iou"])


def text(value: Any) -> str:
    """Return a setting's value as YAML would take it: ``true``, ``0.01``, ``dice``."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
