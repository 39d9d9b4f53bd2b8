"""The metric audit of a report: the same predictions by every convention, beside canaries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.analysis import Analysis
from bench.evaluation import audit
from bench.evaluation.counts import ImageCounts
from bench.evaluation.dummy_baselines import CANARIES, PERFECT, from_counts, most_frequent
from bench.evaluation.metric_variants import CONVENTIONS
from bench.report.content.views import Table


@dataclass(frozen=True)
class Section:
    """The audit of arms that were evaluated on the same pixels.

    Attributes:
        arms: their labels.
        title: names them, and the seeds if not all were evaluated on these pixels.
        sentences: what a reader has to know before the table.
        flags: a sentence for each convention that misleads here.
        table: the scores of canaries and arms.
    """

    arms: tuple[str, ...]
    title: str
    sentences: tuple[str, ...]
    flags: tuple[str, ...]
    table: Table


@dataclass(frozen=True)
class _Trials:
    """The finished trials that share a truth: what canaries are made of, and scores by arm."""

    classes: tuple[str, ...]
    training_pixels: tuple[int, ...]
    first: ImageCounts
    scores: dict[str, list[dict[str, float]]]
    seeds: set[int]


def sections(results: Analysis) -> tuple[Section, ...]:
    """Return an audit for each set of pixels that arms were evaluated on; none without sums.

    Made from the counts of each finished trial that has the soft sums and the number of
    training pixels too.
    """
    found = [_section(results, group) for group in _groups(results)]
    # Where seeds hold out different images, how to read an audit is said once.
    return tuple(
        replace(one, sentences=one.sentences[:1])
        if any(one.arms == earlier.arms for earlier in found[:i])
        else one
        for i, one in enumerate(found)
    )


def definitions() -> Table:
    """Return a row for each convention: what it is, and what it makes of an absent class."""
    rows = tuple(
        (name, convention.about, "counts as right" if convention.rewards_absent else "left out")
        for name, convention in CONVENTIONS.items()
    )
    return Table(("convention", "what it is", "a class neither true nor predicted"), rows)


def _groups(results: Analysis) -> list[_Trials]:
    groups: dict[Any, _Trials] = {}
    for arm, key, seed in results.done[["arm", "key", "seed"]].to_numpy():
        counts, result = results.counts.get(key), results.records[key].accuracy
        if result is None or counts is None or counts.soft is None or counts.train_pixels is None:
            continue
        evidence = counts.evidence()
        classes = result.classes
        same = classes, counts.train_pixels, evidence.names, evidence.truth.tobytes()
        group = groups.setdefault(same, _Trials(classes, counts.train_pixels, evidence, {}, set()))
        group.seeds.add(int(seed))
        group.scores.setdefault(arm, []).append(audit.column(evidence))
    return list(groups.values())


def _section(results: Analysis, trials: _Trials) -> Section:
    first = trials.first
    pixels = np.array(trials.training_pixels, dtype=np.int64)
    known = from_counts(
        first.names, first.truth.astype(np.int64), pixels, batch_size=first.batch_size
    )
    canaries = audit.table(known)
    arms = pd.DataFrame({arm: pd.DataFrame(runs).mean() for arm, runs in trials.scores.items()})
    flags = tuple(flag.text for flag in audit.flags(canaries))
    sentences = (
        f"The same predictions of {len(first.names)} images, scored by each convention.",
        "An arm's score is the mean over its training runs.",
        *_about_canaries(trials.classes[most_frequent(pixels)]),
        f"The study's score is taken over batches of {first.batch_size} images.",
        *([] if flags else ["No convention gives a know-nothing predictor a high score here."]),
        *_about_arms(arms),
    )
    # Arms in the order of the plan, whichever was measured first.
    ordered = [arm for arm in results.arms if arm in arms]
    table = _table(pd.concat([canaries, arms[ordered]], axis=1))
    title, noun = f"Audit of {', '.join(ordered)}", results.measurement.replicate
    if trials.seeds != set(results.done["seed"]):
        title += (
            f", {noun}{'s' * (len(trials.seeds) > 1)} {', '.join(map(str, sorted(trials.seeds)))}"
        )
    return Section(tuple(ordered), title, sentences, flags, table)


def _about_canaries(frequent: str) -> Iterator[str]:
    what = {**CANARIES, "most_frequent": f"{CANARIES['most_frequent']} ({frequent})"}
    yield (
        "Beside the arms stand four predictors that need no network: "
        + "; ".join(f"{name} {does}" for name, does in what.items())
        + f". All but {PERFECT} know nothing of the images."
    )
    yield (
        f"A convention is flagged if it gives one of those three {audit.FOOLED:.0%} of what it "
        f"gives the perfect prediction, or exceeds dataset by {audit.FLATTERED:.0%} of that; and "
        f"if it gives the perfect prediction less than {audit.UNFAIR}."
    )


def _about_arms(arms: pd.DataFrame) -> Iterator[str]:
    by_row = {str(row): arms.loc[row].dropna().to_dict() for row in arms.index}
    study, own = by_row["study"], by_row["dataset"]
    above = {arm: study[arm] - own[arm] for arm in study if arm in own}
    most = max(above, key=above.__getitem__, default=None)
    if most is not None and above[most] >= audit.FLATTERED:
        yield (
            f"Of the {study[most]:.3f} that study gives to {most}, "
            f"{by_row['study_absent'][most]:.3f} is for classes that a batch does not hold; "
            f"dataset gives it {own[most]:.3f}."
        )
    if len(arms.columns) < 2:
        return
    first = {
        name: str(max(by_row[name], key=by_row[name].__getitem__))
        for name in CONVENTIONS
        if by_row[name]
    }
    other = {name: arm for name, arm in first.items() if arm != first.get("dataset")}
    if "dataset" in first and other:
        yield (
            f"dataset puts {first['dataset']} first; "
            + ", ".join(f"{name} puts {arm} first" for name, arm in other.items())
            + "."
        )


def _table(scores: pd.DataFrame) -> Table:
    """Return the scores, whichever there are more of going down."""
    cells = {
        str(column): {str(row): _cell(str(row), value) for row, value in scores[column].items()}
        for column in scores.columns
    }
    rows = [str(row) for row in scores.index]
    if len(cells) > len(rows):
        return Table(
            ("predictor", *rows),
            tuple((name, *(column[row] for row in rows)) for name, column in cells.items()),
        )
    return Table(
        ("convention", *cells),
        tuple((row, *(column[row] for column in cells.values())) for row in rows),
    )


def _cell(row: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:.3g}" if row == "classes_averaged" else f"{value:.3f}"
