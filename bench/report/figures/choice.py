"""Which arms and which example images are shown where not all of them fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis.analysis import Analysis
from bench.store.frame import DONE
from bench.store.records import Record
from bench.store.results import Example

MOST_ARMS, MOST_IMAGES = 8, 4  # of example images side by side


def left_out(results: Analysis, labels: Sequence[str]) -> str:
    """Return the sentence of a caption that says how many arms are not drawn, if any."""
    count = len(results.arms)
    return f" The first {len(labels)} of {count} arms." if len(labels) < count else ""


def best_arm(results: Analysis) -> str | None:
    """Return the arm with the best mean score, the lowest where less is better; None without one.

    It only chooses what is drawn: that another arm is worse is for verdicts to say.
    """
    means = results.done.groupby("arm", sort=False)[results.metric].mean().dropna()
    if means.empty:
        return None
    return str(means.idxmax() if results.plan.higher_is_better else means.idxmin())


def with_examples(results: Analysis, most: int = MOST_ARMS) -> dict[str, Record]:
    """Return arm → the record of its first finished trial that has example images.

    If more than ``most`` arms have one: the baseline, the best arm and the first of the others,
    in the order of the plan.
    """
    found: dict[str, Record] = {}
    for key, arm in zip(results.trials["key"], results.trials["arm"], strict=True):
        record = results.records.get(key)
        if record is not None and record.status == DONE and examples(record):
            found.setdefault(arm, record)
    first = [arm for arm in (results.baseline_arm, best_arm(results)) if arm in found]
    kept = list(dict.fromkeys([*first, *results.arms]))
    kept = [arm for arm in kept if arm in found][:most]
    return {arm: found[arm] for arm in results.arms if arm in kept}


def examples(record: Record, *why: str) -> list[Example]:
    """Return the example images of a trial, all or those kept for some reasons."""
    kept = record.accuracy.examples if record.accuracy else ()
    return [example for example in kept if not why or example.why in why]


def shared_images(records: Mapping[str, Record]) -> dict[str, dict[str, Example]]:
    """Return image → arm → example, of the first images that every trial was asked to keep."""
    found: dict[str, dict[str, Example]] = {}
    for arm, record in records.items():
        for example in examples(record, "chosen"):
            found.setdefault(example.name, {})[arm] = example
    return dict(list(found.items())[:MOST_IMAGES])
