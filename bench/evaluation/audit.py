"""The metric audit: the score of each metric variant for predictors whose quality is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from bench.data.dataset import Dataset
from bench.evaluation import dummy_baselines, metric_variants
from bench.evaluation.counts import ImageCounts
from bench.evaluation.dummy_baselines import DUMMY_BASELINES, PERFECT
from bench.evaluation.metric_variants import VARIANTS

# A dummy baseline's score is too high at half of what the perfect prediction gets, or at less
# than that if it is this far above the baseline's score by `dataset`.
HIGH_SHARE = 0.5
HIGH_EXCESS = 0.25
PERFECT_LEAST = 0.99  # what the perfect prediction should get at least

# Rows beside the variants: the two terms of `study`, and how many classes `dataset` averages.
EXTRA_ROWS = {
    "study_absent": metric_variants.study_absent,
    "study_present": metric_variants.study_present,
    "classes_averaged": metric_variants.classes_averaged,
}


@dataclass(frozen=True)
class Flag:
    """A metric variant that misleads, and ``text``: a sentence that says how."""

    variant: str
    text: str


@dataclass(frozen=True)
class Audit:
    """The scores of the dummy baselines, `table`, and what is wrong with them, `flags`."""

    table: pd.DataFrame
    flags: tuple[Flag, ...]


def audit(dataset: Dataset, split_name: str, *, seed: int = 0) -> Audit:
    """Score the dummy baselines on a split; a UserError if there is none, or it is unreadable."""
    found = table(dummy_baselines.from_split(dataset, split_name, seed))
    return Audit(found, flags(found))


def table(predictors: Mapping[str, ImageCounts]) -> pd.DataFrame:
    """Return a column for each predictor, a row for each variant and of ``EXTRA_ROWS``."""
    columns = {name: column(counts) for name, counts in predictors.items()}
    return pd.DataFrame(columns, dtype="float64").rename_axis("variant")


def column(counts: ImageCounts) -> dict[str, float]:
    """Return the score of every variant, and those of ``EXTRA_ROWS``."""
    extra = {row: score(counts) for row, score in EXTRA_ROWS.items()}
    return metric_variants.scores(counts) | extra


def flags(scores: pd.DataFrame) -> tuple[Flag, ...]:
    """Name the variants that score a dummy baseline high, or the perfect prediction low.

    High is ``HIGH_SHARE`` of the perfect prediction's score, or less than that but
    ``HIGH_EXCESS`` of it above the score by `dataset`; low is below ``PERFECT_LEAST``. Only rows
    of ``VARIANTS`` and columns of ``DUMMY_BASELINES`` are read.
    """
    rows = scores.T.to_dict()
    known = [name for name in VARIANTS if name in rows]
    reference = rows.get("dataset", {})
    return tuple(flag for name in known for flag in _flags(name, rows[name], reference))


def _flags(name: str, row: Mapping[str, float], reference: Mapping[str, float]) -> Iterator[Flag]:
    perfect, high = row[PERFECT], []
    if perfect < PERFECT_LEAST:
        yield Flag(name, f"{name} gives the perfect prediction {perfect:.3f} instead of 1.")
    for baseline in DUMMY_BASELINES:
        least = min(HIGH_SHARE, reference.get(baseline, HIGH_SHARE) + HIGH_EXCESS)
        if baseline != PERFECT and row[baseline] >= least * perfect > 0:
            high.append(f"{baseline} {row[baseline]:.3f}")
    if high:
        yield Flag(
            name,
            f"{name} gives high scores to predictors that never see the images: "
            f"{', '.join(high)}, where the perfect prediction gets {perfect:.3f}.",
        )
