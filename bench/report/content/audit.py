"""The metric audit of a report: the same predictions by every metric variant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.analysis import Analysis
from bench.evaluation import audit
from bench.evaluation.counts import ImageCounts
from bench.evaluation.dummy_baselines import DUMMY_BASELINES, PERFECT, from_counts, most_frequent
from bench.evaluation.metric_variants import VARIANTS
from bench.report.content.numbers import score, significant
from bench.report.content.prose import say
from bench.report.content.table import Column, Table, table


@dataclass(frozen=True)
class Section:
    """The audit of arms that were evaluated on the same pixels.

    ``title`` names the arms, and the seeds if not all were evaluated on these pixels;
    ``sentences`` are to be read before the table, ``flags`` say which metric variants mislead.
    """

    arms: tuple[str, ...]
    title: str
    sentences: tuple[str, ...]
    flags: tuple[str, ...]
    table: Table


def sections(results: Analysis) -> tuple[Section, ...]:
    """Return an audit for each set of pixels that arms were evaluated on.

    Made from the counts of each finished trial that has the soft sums and the number of
    training pixels too.
    """
    groups: dict[Any, tuple[ImageCounts, list[dict[str, Any]]]] = {}
    for arm, key, seed in results.done[["arm", "key", "seed"]].to_numpy():
        counts, result = results.counts.get(key), results.records[key].accuracy
        if result is None or counts is None or counts.soft is None or counts.train_pixels is None:
            continue
        images = counts.image_counts()
        same = result.classes, counts.train_pixels, images.names, images.truth.tobytes()
        _, rows = groups.setdefault(same, (images, []))
        rows.append({"arm": arm, "seed": seed, **audit.column(images)})
    found: list[Section] = []
    for (classes, pixels, *_), (images, rows) in groups.items():
        section = _section(results, classes, pixels, images, pd.DataFrame(rows))
        # Where seeds hold out different images, how to read an audit is said once.
        repeated = any(section.arms == earlier.arms for earlier in found)
        found.append(replace(section, sentences=section.sentences[:1]) if repeated else section)
    return tuple(found)


def definitions() -> Table:
    """Return a row for each metric variant: what it is, and what it makes of an absent class."""
    variants = VARIANTS.values()
    absent = ["counts as right" if one.rewards_absent else "left out" for one in variants]
    return table(
        (Column("variant", "metric variant"), VARIANTS),
        (Column("about", "definition"), [one.about for one in variants]),
        (Column("absent", "a class neither true nor predicted"), absent),
    )


def score_table(scores: pd.DataFrame) -> Table:
    """Return a row for each predictor, of scores with a row for each metric variant."""
    columns = (
        Column(name, name, "number", significant if name == "classes_averaged" else score)
        for name in map(str, scores.index)
    )
    predictors = (Column("predictor", "predictor"), scores.columns)
    return table(predictors, *((column, scores.loc[column.name]) for column in columns))


def _section(
    results: Analysis,
    classes: tuple[str, ...],
    training_pixels: tuple[int, ...],
    first: ImageCounts,
    runs: pd.DataFrame,
) -> Section:
    truth, pixels = first.truth.astype(np.int64), np.array(training_pixels, dtype=np.int64)
    dummies = audit.table(from_counts(first.names, truth, pixels, batch_size=first.batch_size))
    # Arms in the order of the plan, whichever was measured first.
    ordered = [arm for arm in results.arms if arm in set(runs["arm"])]
    scores = runs.drop(columns=["arm", "seed"])
    arms = pd.DataFrame({arm: scores[runs["arm"] == arm].mean() for arm in ordered})
    flags = tuple(flag.text for flag in audit.flags(dummies))
    sentences = say(
        results,
        "audit",
        images=len(first.names),
        batch_size=first.batch_size,
        baselines=DUMMY_BASELINES,
        perfect=PERFECT,
        frequent=classes[most_frequent(pixels)],
        high_share=f"{100 * audit.HIGH_SHARE:.0f}",
        high_excess=f"{100 * audit.HIGH_EXCESS:.0f}",
        perfect_least=audit.PERFECT_LEAST,
        flags=flags,
        **about_arms(arms),
    )
    title = f"Audit of {', '.join(ordered)}"
    seeds = sorted(set(runs["seed"]))
    if len(seeds) < results.done["seed"].nunique():
        title += f", seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
    everyone = score_table(pd.concat([dummies, arms], axis=1))
    return Section(tuple(ordered), title, tuple(sentences), flags, everyone)


def about_arms(arms: pd.DataFrame) -> dict[str, Any]:
    """Return what the scores of arms show.

    Returns:
        excess: of the arm that `study` scores furthest above `dataset`, both scores and the part
            of the former from absent classes; None where none is far above.
        first: the arm that `dataset` ranks first, of several.
        others: each other arm → the metric variants that rank it first.
    """
    first = {
        name: str(arms.loc[name].astype(float).idxmax())
        for name in VARIANTS
        if len(arms.columns) > 1 and arms.loc[name].notna().any()
    }
    own = first.get("dataset")
    others: dict[str, list[str]] = {}
    for name, arm in first.items():
        if arm != own:
            others.setdefault(arm, []).append(name)
    above = (arms.loc["study"] - arms.loc["dataset"]).astype(float).dropna()
    excess = None
    if len(above) and above.max() >= audit.HIGH_EXCESS:
        most = str(above.idxmax())
        scores = {name: arms.loc[name, most] for name in ("study", "dataset")}
        excess = {"arm": most, "absent": arms.loc["study_absent", most], **scores}
    return {"excess": excess, "first": own, "others": others}
