"""What tuning gave for each arm, and whether a verdict on tuned arms holds at other values too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.analysis.stats.tuning import expected_best, mean_scores
from bench.metrics import is_own
from bench.store.files import Damaged
from bench.store.folder import Store
from bench.store.frame import DONE, NOT_RUN, Results
from bench.store.loading import Refuse
from bench.store.plans import Plan, PlannedTrial
from bench.store.records import Record, contradiction

Array = NDArray[np.float64]
_NOT_RUN = np.nan, NOT_RUN
Values = tuple[tuple[str, float], ...]  # (tuned setting, its value), in the order of the grid


@dataclass(frozen=True, eq=False)
class Search:
    """The scores of one arm at all values that were tried, with the seeds of tuning."""

    arm: str
    tried: tuple[Values, ...]  # rising
    seeds: tuple[int, ...]
    scores: Array  # (V, S), NaN where a trial has no result
    statuses: tuple[tuple[str, ...], ...]  # V by S
    means: Array  # (V,) over seeds, a run without a result as the worst score; NaN if one is to run
    best: Array  # (V,) the best mean to be expected of 1, 2, … of these values
    default: Values | None  # the file's own; None until a trial with it is stored
    chosen: tuple[Values, ...]  # one, or one for each repeat; empty until tuning has ended
    at_edge: bool
    reported: tuple[int, ...] = ()  # the seed that has them, of each of several repeats

    def with_seed(self, seed: int) -> Values | None:
        """Return the values that a reported seed has; None until tuning has ended."""
        if self.reported:
            return self.chosen[self.reported.index(seed)] if seed in self.reported else None
        return self.chosen[0] if self.chosen else None

    def chosen_by(self, seed: int) -> Values | None:
        """Return what was chosen by the scores of a seed of tuning."""
        if not self.chosen:
            return None
        return self.chosen[self.seeds.index(seed) * len(self.chosen) // len(self.seeds)]

    @property
    def finished(self) -> bool:
        """Whether every trial planned so far has ended."""
        return not np.isnan(self.means).any()


def plans_tried(plan: Plan) -> dict[Values, Plan]:
    """Return values, rising → the plan of the arms with these values and the seeds of tuning."""
    tuning, labels = plan.tuning, {trial.signature: trial.label for trial in plan.labelled()}
    if tuning is None:
        return {}
    found: dict[Values, list[PlannedTrial]] = {}
    for one in tuning.trials:
        trial = PlannedTrial(key=one.key, arm=one.arm, label=one.label, seed=one.seed)
        named = trial.model_copy(update={"label": labels.get(trial.signature, one.label)})
        found.setdefault(ordered(one.values, plan), []).append(named)
    return {
        values: plan.model_copy(
            update={"trials": tuple(found[values]), "seeds": tuning.seeds, "tuning": None}
        )
        for values in sorted(found)
    }


def untuned_plan(plan: Plan) -> Plan | None:
    """Return the plan of the arms with the file's own values; None where nothing is tuned."""
    if plan.tuning is None:
        return None
    trials = plan.tuning.defaults or (plan.trials if not plan.tuning.chosen else ())
    return plan.model_copy(update={"trials": trials, "tuning": None})


def ordered(values: Mapping[str, Any], plan: Plan) -> Values:
    """Return values of the tuned settings in the order of the grid."""
    assert plan.tuning is not None
    return tuple((name, values[name]) for name in plan.tuning.grid)


def searches(
    results: Results, tried: Mapping[Values, Results], untuned: Results | None
) -> tuple[Search, ...]:
    """Return what tuning gave for each arm; ``tried`` has its trials by their values, rising."""
    tuning = results.plan.tuning
    if tuning is None or not tried:
        return ()
    defaults = {} if untuned is None else _defaults(untuned, tuple(tuning.grid))
    labels = {trial.signature: trial.label for trial in results.plan.labelled()}
    chosen: dict[str, list[Values]] = {}
    reported: dict[str, list[int]] = {}
    edges = set()
    for one in tuning.chosen:
        label = labels.get(_signature(one.arm), one.label)
        chosen.setdefault(label, []).append(ordered(one.values, results.plan))
        if one.seed is not None:
            reported.setdefault(label, []).append(one.seed)
        edges |= {label} if one.at_edge else set()
    higher = results.plan.higher_is_better
    seen = [one.done[results.metric].to_numpy("float64") for one in tried.values()]
    worst = worst_score(results.metric, np.concatenate(seen), higher_is_better=higher)
    seeds = tuple(dict.fromkeys(trial.seed for trial in tuning.trials))
    measured = [_cells(one) for one in tried.values()]
    found = []
    for arm in results.arms:
        cells = [[one.get((arm, seed), _NOT_RUN) for seed in seeds] for one in measured]
        scores = np.array([[score for score, _ in row] for row in cells], dtype=np.float64)
        statuses = tuple(tuple(status for _, status in row) for row in cells)
        means = _means(scores, statuses, worst)
        best = expected_best(means, worst=worst, higher_is_better=higher)
        found.append(
            Search(
                arm, tuple(tried), seeds, scores, statuses, means,
                best if not np.isnan(means).any() else best[:0],
                defaults.get(arm), tuple(chosen.get(arm, ())), arm in edges,
                tuple(reported.get(arm, ())),
            )
        )  # fmt: skip
    return tuple(found)


def other_values(store: Store, plan: Plan) -> Refuse:
    """Return what says of a record that its settings are not those of the tuning trial."""
    wanted = {one.key: one.values for one in plan.tuning.trials} if plan.tuning else {}

    def refuse(record: Record) -> str | None:
        why = contradiction(record, record.seed, wanted.get(record.key, {}))
        return None if why is None else str(Damaged(store.record_file(record.key), why))

    return refuse


def worst_score(metric: str, scores: Array, *, higher_is_better: bool) -> float:
    """Return what a run counts as that failed or diverged: the worst possible score.

    Of a metric of one's own that is the worst of the ``scores`` that were seen, NaN without any.
    """
    if not is_own(metric):
        return 0.0 if higher_is_better else 1.0
    seen = scores[~np.isnan(scores)]
    return float((seen.min if higher_is_better else seen.max)()) if len(seen) else np.nan


def _signature(arm: Mapping[str, Any]) -> str:
    return PlannedTrial(key="-", arm=arm, label="-", seed=0).signature


def _cells(results: Results) -> dict[tuple[str, int], tuple[float, str]]:
    """Return (arm, seed) → score and status; NaN where a trial has no result."""
    columns = ("arm", "seed", results.metric, "status")
    rows = zip(*(results.trials[name] for name in columns), strict=True)
    return {
        (arm, int(seed)): (float(score) if status == DONE else np.nan, status)
        for arm, seed, score, status in rows
    }


def _means(scores: Array, statuses: Sequence[Sequence[str]], worst: float) -> Array:
    waiting = np.array([[status == NOT_RUN for status in row] for row in statuses])
    means = mean_scores(scores, worst=worst)
    means[waiting.any(1)] = np.nan
    return means


def _defaults(untuned: Results, settings: Sequence[str]) -> dict[str, Values]:
    """Return arm → the file's own values of some settings, as its records have them."""
    found = {}
    for trial in untuned.plan.labelled():
        record = untuned.records.get(trial.key)
        if record is not None:
            found[trial.label] = tuple((name, _setting(record, name)) for name in settings)
    return found


def _setting(record: Record, name: str) -> float:
    found: Any = record.settings
    for part in name.split("."):
        found = found[part]
    return float(found)
