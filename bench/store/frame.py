"""An experiment as tables of samples: one row a trial, a class of a trial, an epoch of a trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.measurements import MEASUREMENTS, Measurement
from bench.store.folder import Store
from bench.store.image_counts import Counts
from bench.store.plans import Plan
from bench.store.records import Record

DONE = "done"
NOT_RUN = "not run"

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Results:
    """An experiment as it was planned, and as far as it was measured.

    The tables have the columns ``key``, ``arm`` and ``seed``, and further ones:

    - ``trials``, a row for each trial of the plan, in its order: ``status`` (a record's, or ``not
      run``), ``reason``, ``seconds`` and every single number of its result under its own name,
      missing where the trial did not finish. Without its record a trial counts as not run.
    - ``classes``, a row for each class of each finished trial: ``class`` (as the plan's ``labels``
      call it) and every score by class.
    - ``history``, a row for each epoch of each trial that has one: ``status``, ``epoch``,
      ``train_loss``, ``learning_rate``, ``seconds`` and the scores of that epoch.
    """

    store: Store
    plan: Plan
    arms: Mapping[str, Mapping[str, str]]  # label, in plan order → what its levels are called
    records: Mapping[str, Record]  # key → record of every planned trial that has one
    trials: pd.DataFrame
    classes: pd.DataFrame
    history: pd.DataFrame
    counts: Mapping[str, Counts]  # key → those of each finished trial that has them
    scores: tuple[str, ...]  # of a whole trial, the experiment's own first
    palette: Mapping[str, tuple[int, int, int]]  # class → RGB, in order of first occurrence
    unplanned: int  # records in the store that are not part of the plan
    damaged: tuple[str, ...] = ()  # a line for each stored file that cannot be used

    @property
    def metric(self) -> str:
        """Name of the score that the experiment is about."""
        return self.plan.metric

    @property
    def measurement(self) -> Measurement:
        """What kind of measurement its trials are."""
        return MEASUREMENTS[self.plan.measure]

    @property
    def factors(self) -> dict[str, tuple[str, ...]]:
        """Factor → what its levels are called, in the order of the plan."""
        return {
            name: tuple(self.plan.labels.level(name, level) for level in levels)
            for name, levels in self.plan.factors.items()
        }

    @property
    def baseline(self) -> dict[str, str]:
        """Factor → its level in the baseline; empty where none was declared."""
        labels = self.plan.labels
        return {name: labels.level(name, level) for name, level in self.plan.baseline.items()}

    @property
    def grid(self) -> tuple[str, ...]:
        """Labels of the arms that give every factor a level, unlike those of ``include`` rows."""
        factors = self.factors
        return tuple(
            label
            for label, arm in self.arms.items()
            if arm.keys() == factors.keys() and all(arm[name] in factors[name] for name in factors)
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
        fixed = self.baseline.items() if self.plan.design == "one_at_a_time" else ()
        others = {(name, level) for name, level in fixed if name != factor}
        fitting = [label for label in self.grid if others <= self.arms[label].items()]
        return {
            level: tuple(label for label in fitting if self.arms[label][factor] == level)
            for level in self.factors[factor]
        }

    @property
    def done(self) -> pd.DataFrame:
        """The rows of ``trials`` that have a result."""
        return self.trials[self.trials["status"] == DONE]


def study_history(results: Results) -> pd.DataFrame:
    """Return the epochs of finished trials in which the original study's score was taken too."""
    history = results.history[results.history["status"] == DONE]
    if "study_iou" not in history:
        return history.iloc[:0]
    return history.dropna(subset=["study_iou", "study_iou_absent", "mean_iou"])


def typed(rows: list[Row], columns: Iterable[str] = ()) -> pd.DataFrame:
    """Build a frame that has ``columns`` first, whole numbers as Int64 and others as float64."""
    names = dict.fromkeys([*columns, *(name for row in rows for name in row)])
    arrays: dict[str, Any] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        present = [value for value in values if value is not None]
        if present and all(type(value) is int for value in present):
            arrays[name] = pd.array(values, dtype="Int64")
        elif all(type(value) in (int, float) for value in present):
            arrays[name] = np.array([math.nan if v is None else v for v in values], np.float64)
        else:
            arrays[name] = np.array(values, dtype=object)
    return pd.DataFrame(arrays)
