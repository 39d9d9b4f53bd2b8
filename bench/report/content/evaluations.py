"""What stored networks score on other images, and how often test images were looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from bench.analysis import analysis
from bench.analysis.analysis import Analysis
from bench.errors import UserError
from bench.report.content.numbers import counted, listed, whole
from bench.report.content.table import Column, Table, of_metric, table
from bench.report.tables import summaries
from bench.store import evaluations
from bench.store.evaluations import Looks
from bench.store.folder import Store
from bench.store.records import Record
from bench.store.trainings import weights_of

_TITLES = {"test": "Test images", "val": "Validation images", "train": "Training images"}
_MOST_DAYS = 6  # that the sentence about looks names


@dataclass(frozen=True, eq=False)
class Section:
    """One way in which the networks of a report were scored again, or why it cannot be shown."""

    name: str  # of its folder: ``test``, ``val-rotations``
    title: str
    results: Analysis | None = None
    problem: str = ""


def sections(results: Analysis) -> tuple[Section, ...]:
    """Return a section for each way in which stored networks were scored, those of test first.

    Scores of networks that are not those of the report, which were trained again since, are left
    out and named.
    """
    if not results.measurement.trains:
        return ()
    return tuple(_section(results, store) for store in evaluations.stores(results.store))


def arm_table(results: Analysis, scored: Analysis) -> Table:
    """Return a row for each arm: its score on other images, and on those of the report."""
    metric, before = results.metric, summaries.arms(results)
    after = summaries.arms(scored)
    names = {arm: i for i, arm in enumerate(after["arm"])}
    rows = [names[arm] for arm in before["arm"] if arm in names]
    kept, after = before[before["arm"].isin(names)], after.iloc[rows]
    there = (f"{metric}_mean", f"{metric}_sd")
    marked = kept["arm"] + kept["baseline"].map({True: " (baseline)", False: ""})
    split = next(iter(sorted({str(value) for value in results.done.get("split", ())})), "")
    return table(
        (Column("arm", "arm"), marked),
        (of_metric(metric, "spread"), list(after[list(there)].itertuples(index=False, name=None))),
        (Column("n", "n", "number", whole), after["n"]),
        (
            Column("interval", "95 % interval", "interval"),
            list(after[["low", "high"]].itertuples(index=False, name=None)),
        ),
        (
            Column("before", f"on {split}", "spread"),
            list(kept[list(there)].itertuples(index=False, name=None)),
        ),
        (Column("without_result", "without result", optional=True), after["without_result"]),
    )


def looks(results: Analysis) -> str:
    """Say how often the test images of an experiment were looked at; nothing if they were not."""
    found = evaluations.test_looks(results.store) if results.measurement.trains else Looks()
    return looks_sentence(found) if found.times else ""


def looks_sentence(found: Looks) -> str:
    """Say how often test images were looked at, when, and for which arms."""
    if not found.times:
        return "The test images were not looked at."
    days = listed(found.days, _MOST_DAYS)
    of = f"{counted(found.networks, 'score')} of {counted(len(found.arms), 'arm')}, on {days}"
    if found.times == 1:
        return f"The test images were looked at once ({of})."
    times = "twice" if found.times == 2 else f"{found.times} times"
    return (
        f"The test images were looked at {times} ({of}): whatever was chosen after the first look "
        "may have been chosen by them, and their scores are optimistic for it."
    )


def _section(results: Analysis, store: Store) -> Section:
    split, _, tta = store.folder.name.partition("-")
    title = _TITLES.get(split, split) + (f", predictions averaged: {tta}" if tta else "")
    try:
        return Section(
            store.folder.name, title, analysis.load(store, refuse=_of_other_weights(results))
        )
    except UserError as error:
        return Section(store.folder.name, title, problem=str(error))


def _of_other_weights(results: Analysis) -> Callable[[Record], str | None]:
    """Return what tells whether a score is of weights that no trial of a report has."""
    blobs = map(weights_of, results.records.values())
    known = {PurePosixPath(blob).stem for blob in blobs if blob is not None}

    def refuse(record: Record) -> str | None:
        if record.provenance.get(evaluations.WEIGHTS) in known:
            return None
        return (
            f"{record.label}, seed {record.seed}: was scored with weights that are not those of "
            "this report, and is left out"
        )

    return refuse
