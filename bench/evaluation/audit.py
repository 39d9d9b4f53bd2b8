"""The metric audit: what each convention gives to predictors whose worth is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from bench.data.dataset import Dataset
from bench.evaluation.counts import ImageCounts
from bench.evaluation.dummy_baselines import CANARIES, PERFECT, canaries
from bench.evaluation.metric_variants import (
    CONVENTIONS,
    classes_averaged,
    scores,
    study_absent,
    study_present,
)

# Much for knowing nothing, as shares of the perfect prediction's score: this much in any case,
# and already less if it is this far above what the same predictor gets from `dataset`.
FOOLED = 0.5
FLATTERED = 0.25
UNFAIR = 0.99  # the least that the perfect prediction should get

# Rows of the table beside the conventions: what `study` is the sum of, and of how many classes
# `dataset` is the mean.
EXTRA_ROWS = {
    "study_absent": study_absent,
    "study_present": study_present,
    "classes_averaged": classes_averaged,
}


@dataclass(frozen=True)
class Flag:
    """A convention that misleads, and ``text``: a sentence that says how."""

    convention: str
    text: str


@dataclass(frozen=True)
class Audit:
    """The scores of the canaries, `table`, and what is wrong with them, `flags`."""

    table: pd.DataFrame
    flags: tuple[Flag, ...]


def audit(dataset: Dataset, split_name: str, *, seed: int = 0) -> Audit:
    """Score the canaries for a split.

    Raises:
        UserError: if there is no such split, or a file cannot be read.
    """
    found = table(canaries(dataset, split_name, seed))
    return Audit(found, flags(found))


def table(predictors: Mapping[str, ImageCounts]) -> pd.DataFrame:
    """Return a column for each predictor, a row for each convention and of ``EXTRA_ROWS``."""
    columns = {name: column(counts) for name, counts in predictors.items()}
    rows = pd.Index([*CONVENTIONS, *EXTRA_ROWS], name="convention")
    return pd.DataFrame(columns, index=rows, columns=list(predictors), dtype="float64")


def column(counts: ImageCounts) -> dict[str, float]:
    """Return the score by every convention, and those of ``EXTRA_ROWS``."""
    return {**scores(counts), **{row: extra(counts) for row, extra in EXTRA_ROWS.items()}}


def flags(scores: pd.DataFrame) -> tuple[Flag, ...]:
    """Say which conventions give much to who knows nothing, or little to who knows all.

    Much is ``FOOLED`` of the perfect prediction's score, or less than that but ``FLATTERED``
    of it above the score by `dataset`; little is below ``UNFAIR``.

    Args:
        scores: a row for each convention, a column for each of ``CANARIES``; others are left
            alone.
    """
    rows = {
        str(name): dict(zip(CANARIES, values, strict=True))
        for name, values in zip(scores.index, scores[list(CANARIES)].to_numpy(), strict=True)
    }
    own = rows.get("dataset", {})
    return tuple(
        flag for name in CONVENTIONS if name in rows for flag in _flags(name, rows[name], own)
    )


def _flags(name: str, row: Mapping[str, float], by_dataset: Mapping[str, float]) -> Iterator[Flag]:
    perfect = row[PERFECT]
    if perfect < UNFAIR:
        yield Flag(name, f"{name} gives the perfect prediction {perfect:.3f}, which should be 1.")
    given = []
    for canary in CANARIES:
        least = min(FOOLED, by_dataset.get(canary, FOOLED) + FLATTERED)
        if canary != PERFECT and row[canary] >= least * perfect > 0:
            given.append(f"{canary} {row[canary]:.3f}")
    if given:
        yield Flag(
            name,
            f"{name} gives a high score for knowing nothing of the images: {', '.join(given)}, "
            f"where the perfect prediction gets {perfect:.3f}.",
        )
