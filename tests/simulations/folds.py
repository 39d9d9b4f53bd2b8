"""How often cross-validation finds a difference that is not there, as training sets overlap.

    python -m tests.simulations.folds [repetitions]

Each repetition draws a data set, deals it out to folds, trains two models that are equally good on
the others, and sends their errors on each fold through the code that reports use. Prints the
table of docs/statistics.md; exits with 1 if a row that has a target misses it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects.comparisons import compare
from bench.analysis.effects.runs import Runs
from bench.analysis.stats.verdicts import INCONCLUSIVE
from tests.simulations.rows import PAIR, Row, planned, print_table, write

FEATURES = 3  # that each model sees; the other's are noise to it


def scores(
    images: int, count: int, seeds: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Return (2, seeds), minus the errors of both models on the fold of each seed.

    Both are linear regressions, each on features of its own that matter as much as the other's,
    so that neither is better over all data sets. After ``count`` seeds, images are dealt out anew.
    """
    features = generator.standard_normal((2, images, FEATURES))
    target = features.sum((0, 2)) + generator.standard_normal(images)
    found = np.empty((2, seeds))
    for seed in range(seeds):
        if seed % count == 0:
            dealt = generator.permutation(images) % count
        out = dealt == seed % count
        for model, own in enumerate(features):
            weights = np.linalg.lstsq(own[~out], target[~out])[0]
            found[model, seed] = -np.mean((own[out] @ weights - target[out]) ** 2)
    return found


def false_verdicts(
    images: int, count: int, seeds: int, repetitions: int, generator: np.random.Generator
) -> tuple[float, float]:
    """Return how often one model is called better: seeds as if independent, and corrected."""
    results = planned(tuple(PAIR.items()), seeds)
    decided = np.zeros(2)
    for _ in range(repetitions):
        table = dict(zip(results.arms, scores(images, count, seeds, generator), strict=True))
        for i, overlap in enumerate((0.0, 1 / (count - 1))):
            runs = Runs(table, tuple(range(seeds)), overlap)
            _, (one,) = compare(results, runs, delta=None, higher_is_better=True)
            decided[i] += one.verdict != INCONCLUSIVE
    return float(decided[0] / repetitions), float(decided[1] / repetitions)


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table."""
    for count, seeds in ((5, 5), (5, 10), (10, 10), (5, 20)):
        name = f"60 images, {count} folds, {seeds} seeds"
        old, ours = false_verdicts(60, count, seeds, repetitions, generator)
        yield Row("false better or worse, old: seeds as if independent", name, old, repetitions)
        yield Row("false better or worse, ours: corrected", name, ours, repetitions, high=0.05)


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
    missed = print_table(rows(repetitions, np.random.default_rng(2003)))
    write(f"\n{repetitions:,} experiments a row.")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
