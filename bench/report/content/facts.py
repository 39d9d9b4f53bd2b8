"""What the sentences of a report state, as numbers and names."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.analysis.analysis import Analysis
from bench.report.tables.summaries import is_balanced
from bench.store.frame import DONE, study_history
from bench.store.labels import text
from bench.store.records import Record


def varied(results: Analysis) -> list[str]:
    """Return each factor of several levels with these: ``train.loss (ce, dice)``."""
    factors = results.factors.items()
    return [f"{name} ({', '.join(levels)})" for name, levels in factors if len(levels) > 1]


def named_levels(results: Analysis) -> dict[str, list[str]]:
    """Return factor of several settings → its levels, with what they set."""

    def described(factor: str, level: str) -> str:
        chosen = results.plan.named_levels[factor][level].items()
        sets = ", ".join(f"{name} = {text(value)}" for name, value in chosen)
        return f"{results.plan.labels.level(factor, level)} ({sets})"

    return {
        factor: [described(factor, level) for level in levels]
        for factor, levels in results.plan.named_levels.items()
    }


def combinations(results: Analysis) -> int:
    """Return how many arms a full factorial of the factors has."""
    return math.prod(map(len, results.factors.values()))


def missing(results: Analysis) -> dict[str, int]:
    """Return status → number of trials without a result."""
    without = results.trials.loc[results.trials["status"] != DONE, "status"]
    return {str(status): int(n) for status, n in without.value_counts(sort=False).items()}


def accepted_stale(results: Analysis) -> dict[str, list[str]]:
    """Return what differed → the trials that were measured by another version and accepted."""
    found = defaultdict(list)
    for trial in results.plan.trials:
        if trial.stale:
            which = f"{trial.label} ({results.measurement.replicate} {trial.seed})"
            found[" and ".join(trial.stale)].append(which)
    return dict(found)


def unbalanced(results: Analysis) -> list[str]:
    """Return the factors whose levels were not measured under the same other settings.

    With declared looks fewer seeds of an arm are no loss, if all that were planned finished.
    """
    if results.plan.looks and len(results.done) == len(results.trials):
        return []
    return [name for name in results.factors if not is_balanced(results, name)]


def classes_averaged(results: Analysis) -> tuple[int, int] | None:
    """Return the least and the largest number of classes that a mean IoU is over."""
    counts = results.done.get("classes_averaged")
    if counts is None or counts.isna().all():
        return None
    return int(counts.min()), int(counts.max())


def absent_classes(results: Analysis) -> dict[str, list[str]]:
    """Return split → the classes of which masks had no pixel there, in some finished trial."""
    absent: dict[str, dict[str, None]] = {}
    for key, counts in results.counts.items():
        accuracy = results.records[key].accuracy
        if accuracy is None:
            continue
        names = results.plan.labels.of_classes(accuracy.classes)
        pixels = {accuracy.split: counts.total().sum(1).tolist()}
        if counts.train_pixels is not None:
            pixels["train"] = [*counts.train_pixels]
        for split, numbers in pixels.items():
            without = (name for name, count in zip(names, numbers, strict=True) if not count)
            absent.setdefault(split, {}).update(dict.fromkeys(without))
    return {split: [*names] for split, names in absent.items() if names}


def versions(results: Analysis) -> int:
    """Return how many versions of the code trials were measured with."""
    return len({one.provenance.get("code") for one in results.records.values()})


def devices(results: Analysis) -> list[str]:
    """Return the devices that trials were measured on, each with their number."""
    names = (one.environment.get("device_name") for one in results.records.values())
    counts = Counter(str(name) for name in names)
    return [f"{name} ({number})" for name, number in counts.items()]


def scored(results: Analysis, column: str) -> list[str]:
    """Return the values of a column of the finished trials; none where they have no such column."""
    return sorted({str(value) for value in results.done.get(column, ())})


def chosen_on_val(results: Analysis) -> bool:
    """Tell whether weights are those that scored best on the split that the scores are of."""
    records = (one for one in results.records.values() if one.status == DONE)
    kept = {text(one.settings.get("evaluate", {}).get("keep")) for one in records}
    return "best" in kept and "val" in scored(results, "split")


@dataclass(frozen=True)
class StoppedEarly:
    """Trainings that stopped before their last epoch."""

    trials: int
    of: int  # finished
    fewest: int  # epochs of those that stopped
    most: int
    unequal: bool  # whether arms were trained for different numbers of epochs on average
    schedules: list[str]  # of the learning rate, that were cut off
    watched: list[str]  # splits whose scores decided
    reported_too: list[str]  # those of them that scores are of


def stops_early(results: Analysis) -> bool:
    """Tell whether trainings may stop before their last epoch."""
    return any(_train(one).get("patience") is not None for one in results.records.values())


def stopped_early(results: Analysis) -> StoppedEarly | None:
    """Return what there is to know of trainings that stopped before their last epoch, if any."""
    done = [one for one in results.records.values() if one.status == DONE]
    stopped = [one for one in done if one.stopped_after is not None]
    if not stopped:
        return None
    epochs = [one.stopped_after for one in stopped if one.stopped_after is not None]
    of_arms = results.done["epochs"].groupby(results.done["arm"]).mean()
    found = [one.accuracy for one in stopped if one.accuracy is not None]
    return StoppedEarly(
        trials=len(stopped),
        of=len(done),
        fewest=min(epochs),
        most=max(epochs),
        unequal=of_arms.nunique() > 1,
        schedules=sorted({name for one in stopped if (name := _cut_off(_train(one)))}),
        watched=sorted({str(one.watched_split) for one in found}),
        reported_too=sorted({one.split for one in found if one.split == one.watched_split}),
    )


def _train(record: Record) -> Mapping[str, Any]:
    return record.settings.get("train", {})


def _cut_off(train: Mapping[str, Any]) -> str | None:
    """Return the schedule of a training, if its last epochs have other rates than the first."""
    schedule = train["schedule"]
    steps = schedule["name"] == "step" and schedule["step_size"] >= train["epochs"]
    return None if steps or schedule["name"] == "constant" else schedule["name"]


def notes(results: Analysis) -> list[str]:
    """Return what data sets say about scores on them, and which networks ran uncompiled."""
    done = [one for one in results.records.values() if one.status == DONE]
    said = dict.fromkeys(one.accuracy.note for one in done if one.accuracy and one.accuracy.note)
    arms = Counter((one.label, one.uncompiled) for one in done if one.uncompiled)
    uncompiled = (
        f"{arm} was to be compiled; in {count} of its runs {why}."
        for (arm, why), count in arms.items()
    )
    return [*said, *uncompiled]


def pictures(results: Analysis) -> list[str]:
    """Return what the pictures of images show, where they are not shown as they are."""
    accuracies = (one.accuracy for one in results.records.values() if one.status == DONE)
    shown = [one for one in accuracies if one is not None and one.examples]
    found = [one.pictures for one in shown if one.pictures]
    if any(example.image is None for one in shown for example in one.examples):
        found.append(
            "Images and their truth are not stored here; a run into another folder, with "
            "--results DIR --set evaluate.pictures=all, shows them beside the predictions."
        )
    return list(dict.fromkeys(found))


def study_scores(results: Analysis) -> dict[str, pd.DataFrame]:
    """Return arm → the last epoch of its runs that have the original study's score."""
    groups = dict(iter(study_history(results).groupby("arm", sort=False)))
    found = {arm: groups[arm] for arm in results.arms if arm in groups}
    return {arm: rows.drop_duplicates("key", keep="last") for arm, rows in found.items()}
