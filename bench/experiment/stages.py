"""Stages of an experiment whose later trials depend on what earlier ones gave: tuning, and looks.

What is planned now is a function of the experiment and of the records there are, so that a run that
was stopped, or one beside it, comes to the same trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.analysis.effects.tuning import worst_score
from bench.analysis.stats.tuning import best
from bench.errors import UserError
from bench.evaluation import own_metrics
from bench.experiment import design, look_stages, plan
from bench.experiment.config import Experiment
from bench.experiment.design_checks import MAX_TRIALS
from bench.experiment.reconcile import Stale
from bench.experiment.stage import Stage
from bench.experiment.trial import Arm, Trial
from bench.experiment.tune import TuneSettings, beyond
from bench.metrics import find, is_own
from bench.store.folder import Store
from bench.store.plans import PlannedTrial, Tuned, Tuning, TuningTrial
from bench.store.records import Record, pending

Values = tuple[tuple[str, float], ...]  # (tuned setting, its value), in the order of the grid
Ends = tuple[tuple[int, int], ...]  # of each tuned setting, values added below and above


def stage(
    experiment: Experiment,
    root: Path,
    store: Store,
    accepted: Mapping[str, Stale] | None = None,
    *,
    device: str | None = None,
) -> Stage:
    """Return what is planned now; ``root`` is the folder that holds the datasets.

    ``device`` says what times are of, where a measurement depends on it.

    Of ``accepted``, key of a trial → the record of another version that is taken for it. UserError
    if an arm is impossible, two arms are the same, data is missing, or looks decide nothing.
    """
    if experiment.looks:
        look_stages.check_folds(experiment)
    tune = experiment.tune
    if tune is not None:
        arms = len(design.arms(experiment))
        _check_size(experiment, tune, arms)
    untuned = plan.plan(experiment, root, device=device)
    if experiment.looks:
        return look_stages.to_next_look(experiment, untuned, store, accepted or {})
    if tune is None:
        return Stage(untuned)
    search = _Search(experiment, tune, root, store, accepted or {})
    ends: Ends = tuple((0, 0) for _ in tune.grid)
    while True:
        tried, best = search.trials(ends), search.best(ends)
        if best is None or (wider := search.wider(ends, best)) == ends:
            break
        ends = wider
    described = _described(tune, tried, untuned)
    tuning = [trial for trials in tried.values() for trial in trials]
    if best is None:
        name = "tuning" if not any(map(any, ends)) else "tuning, more values"
        more = arms * (tune.most * len(tune.all_seeds) + len(experiment.all_seeds)) - len(tuning)
        when = "when the best values are known"
        return Stage(untuned, [*tuning, *untuned], described, name, more, when)
    chosen, tuned = search.chosen(ends, best)
    described = described.model_copy(update={"chosen": tuple(chosen)})
    return Stage(tuned, [*tuning, *untuned], described, "tuned arms")


def _check_size(experiment: Experiment, tune: TuneSettings, arms: int) -> None:
    trials = arms * (tune.most * len(tune.all_seeds) + 2 * len(experiment.all_seeds))
    if trials > MAX_TRIALS:
        raise UserError(
            f"{experiment.name}: tune: makes up to {trials} trials; at most {MAX_TRIALS}"
        )


def _described(
    tune: TuneSettings, tried: Mapping[Values, Sequence[Trial]], untuned: Sequence[Trial]
) -> Tuning:
    labels = [one.arm.label for one in untuned if one.seed == untuned[0].seed]
    return Tuning(
        grid={name: tuple(values) for name, values in tune.grid.items()},
        seeds=tuple(tune.all_seeds),
        repeat=tune.repeat,
        split=tune.split,
        extend=tune.extend,
        trials=tuple(
            TuningTrial(
                key=one.key,
                arm=one.arm.levels,
                label=labels[place % len(labels)],
                seed=one.seed,
                values=dict(values),
            )
            for values, trials in tried.items()
            for place, one in enumerate(trials)
        ),
        defaults=tuple(
            PlannedTrial(key=one.key, arm=one.arm.levels, label=one.arm.label, seed=one.seed)
            for one in untuned
        ),
    )


class _Search:
    """The trials of tuning, planned once for each value, and what they gave."""

    def __init__(
        self,
        experiment: Experiment,
        tune: TuneSettings,
        root: Path,
        store: Store,
        accepted: Mapping[str, Stale],
    ) -> None:
        self.experiment, self.tune, self.root, self.store = experiment, tune, root, store
        own = is_own(experiment.metric)
        self.higher = (
            own_metrics.higher_is_better(experiment.metric)
            if own
            else find(experiment.metric).higher_is_better
        )
        self._arms: dict[Values, list[Arm]] = {}
        self._trials: dict[Values, list[Trial]] = {}
        self._records: dict[str, Record] = {key: one.record for key, one in accepted.items()}

    def points(self, ends: Ends) -> list[Values]:
        """Return all combinations of values, rising."""
        axes = self.axes(ends)
        places = np.ndindex(*(len(values) for values in axes))
        return [
            tuple(zip(self.tune.grid, (v[i] for v, i in zip(axes, at, strict=True)), strict=True))
            for at in places
        ]

    def axes(self, ends: Ends) -> list[list[float]]:
        """Return the values of each setting, rising."""
        grids = zip(self.tune.grid.values(), ends, strict=True)
        return [beyond(values, low=low, high=high) for values, (low, high) in grids]

    def trials(self, ends: Ends) -> dict[Values, list[Trial]]:
        """Return values → the trials of all arms with them, by seed and arm."""
        for values in self.points(ends):
            if values not in self._trials:
                further = {**dict(values), "evaluate.split": self.tune.split}
                named = ", ".join(f"{name.rpartition('.')[2]} {value:g}" for name, value in values)
                arms = [
                    replace(arm, label=f"{arm.label} ({named})")
                    for arm in design.arms(self.experiment, further)
                ]
                planned = plan.of_arms(self.experiment, arms, self.tune.all_seeds, self.root)
                self._trials[values] = planned
        return {values: self._trials[values] for values in self.points(ends)}

    def best(self, ends: Ends) -> list[list[int]] | None:
        """Return by repeat and arm the place of its best values; None if a trial is to be measured.

        A trial that failed or diverged counts as the worst score: it is no better than that.
        """
        trials = self.trials(ends)
        wanted = [one.key for planned in trials.values() for one in planned]
        self._records |= self.store.held(set(wanted) - self._records.keys())
        if pending(self._records, wanted):
            return None
        scores = np.array([self._score(key) for key in wanted], dtype=np.float64)
        worst = worst_score(self.experiment.metric, scores, higher_is_better=self.higher)
        by_arm = scores.reshape(len(trials), self.tune.repeat, len(self.tune.seeds), -1)
        return [
            [
                best(by_arm[:, repeat, :, arm], worst=worst, higher_is_better=self.higher)
                for arm in range(by_arm.shape[3])
            ]
            for repeat in range(self.tune.repeat)
        ]

    def chosen(self, ends: Ends, best: Sequence[Sequence[int]]) -> tuple[list[Tuned], list[Trial]]:
        """Return what is chosen, by repeat and arm, and the trials of tuned arms, by seed."""
        points, axes = self.points(ends), self.axes(ends)
        found, trials = [], []
        seeds = self.experiment.all_seeds
        for repeat, places in enumerate(best):
            own = [seeds[repeat]] if len(best) > 1 else seeds
            tuned = [self._tuned(arm, points[at], own) for arm, at in enumerate(places)]
            trials += [of_arm[place] for place in range(len(own)) for of_arm in tuned]
            for of_arm, at in zip(tuned, places, strict=True):
                values, arm = points[at], of_arm[0].arm
                pairs = zip(values, axes, strict=True)
                edge = any(value in (axis[0], axis[-1]) for (_, value), axis in pairs)
                seed = own[0] if len(best) > 1 else None
                found.append(
                    Tuned(
                        arm=arm.levels,
                        label=arm.label,
                        values=dict(values),
                        at_edge=edge,
                        seed=seed,
                    )
                )
        return found, trials

    def wider(self, ends: Ends, best: Sequence[Sequence[int]]) -> Ends:
        """Return the ends with one value more wherever an arm's best lies; the same if nowhere."""
        axes, points = self.axes(ends), self.points(ends)
        found = []
        for number, (axis, (low, high)) in enumerate(zip(axes, ends, strict=True)):
            at = {points[place][number][1] for places in best for place in places}
            below = axis[0] in at and low < self.tune.extend
            above = axis[-1] in at and high < self.tune.extend
            found.append((low + below, high + above))
        return tuple(found)

    def _tuned(self, arm: int, values: Values, seeds: Sequence[int]) -> list[Trial]:
        """Return the trials of one arm with its values, by seed."""
        if values not in self._arms:
            self._arms[values] = design.arms(self.experiment, dict(values))
        return plan.of_arms(self.experiment, [self._arms[values][arm]], seeds, self.root)

    def _score(self, key: str) -> float:
        record = self._records.get(key)
        if record is None or record.status != "done":
            return math.nan
        found = record.metric(self.experiment.metric)
        return math.nan if found is None else float(found)
