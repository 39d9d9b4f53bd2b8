"""How often families of comparisons err where runs vary or correlate unequally, and their power.

    python -m tests.simulations.families [repetitions]

Arms are compared one at a time with the baseline's. ``One error`` is that of all arms, which was
the only one once; ``own errors`` are of two arms each, corrected by Holm's method; ``report`` is
what a report says, which takes one or the other. Exits with 1 if a row with a target misses it.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from bench.analysis.effects.comparisons import Comparison, compare
from bench.analysis.effects.estimates import OWN_ERROR_FROM
from bench.analysis.stats import blocks
from bench.analysis.stats.families import dunnett_critical
from bench.analysis.stats.sample import ALPHA
from bench.analysis.stats.verdicts import BETTER, INCONCLUSIVE, WORSE
from tests.simulations.rows import FIVE, Row, Truth, drawn, planned, print_table, write

OTHERS = FIVE["augmentation"][1:]
ALIKE = "runs alike"
NULL = {
    ALIKE: Truth(FIVE, seed_sd=1.0),
    "runs of the baseline vary 3 times as much": Truth(FIVE, noisy={"none": 3.0}),
    "runs of one arm do": Truth(FIVE, noisy={"flip": 3.0}),
    "a seed moves all but the baseline, by 2 sd": Truth(FIVE, shared=dict.fromkeys(OTHERS, 2.0)),
    "a seed moves all but one, by 2 sd": Truth(
        FIVE, shared=dict.fromkeys(("none", *OTHERS[1:]), 2.0)
    ),
    "one arm does not vary": Truth(FIVE, noisy={"flip": 0.0}),
}
SEEDS = (3, 5, 6, 7, 8, 10)


def one_error(scores: NDArray[np.float64]) -> int:
    """Return how many arms differ from the first by Dunnett's single-step test."""
    model, count = blocks.fit(scores), len(scores) - 1
    error = np.sqrt(2 * model.variance / scores.shape[1])
    t = np.abs(model.means[1:] - model.means[0]) / error
    return int((t > dunnett_critical(count, model.df)).sum())


def own_errors(scores: NDArray[np.float64]) -> bool:
    """Return whether any arm differs from the first by paired t-tests and Holm's method."""
    differences, seeds = scores[1:] - scores[0], scores.shape[1]
    t = np.abs(differences.mean(1)) / (differences.std(1, ddof=1) / np.sqrt(seeds))
    return bool(2 * stdtr(seeds - 1, -t.max()) * len(differences) <= ALPHA)


def agrees(one: Comparison) -> bool:
    """Return whether an interval excludes 0 just where the verdict is better or worse."""
    above, below = one.low >= 0, one.high <= 0
    return {BETTER: above, WORSE: below, INCONCLUSIVE: one.low < 0 < one.high}[one.verdict]


def of_reports(truth: Truth, repetitions: int, generator: np.random.Generator) -> Counter[str]:
    """Count what reports on experiments say, and what tests with one or own errors would."""
    results = planned(tuple(truth.factors.items()), truth.seeds)
    counts = Counter[str]()
    for runs in drawn(truth, repetitions, generator):
        found = compare(results, runs, delta=None, higher_is_better=True)[1]
        scores = runs.table(runs.scores)
        decided = [one.verdict != INCONCLUSIVE for one in found]
        true = [truth.effect.get(one.level, 0.0) for one in found]
        counts["report"] += any(decided)
        counts["false"] += any(d and not x for d, x in zip(decided, true, strict=True))
        counts["report, all"] += sum(decided)
        counts["one error"] += (single := one_error(scores)) > 0
        counts["one error, all"] += single
        counts["own errors"] += own_errors(scores)
        counts["agree"] += all(map(agrees, found))
        counts["covered"] += all(a.low <= x <= a.high for a, x in zip(found, true, strict=True))
    return counts


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table."""
    for name, truth in NULL.items():
        for seeds in SEEDS:
            counts = of_reports(dataclasses.replace(truth, seeds=seeds), repetitions, generator)
            design = f"five arms, {seeds} seeds, {name}"
            for how in ("one error", "own errors", "report"):
                promised = how == "report" and (seeds >= OWN_ERROR_FROM or name == ALIKE)
                share, high = counts[how] / repetitions, 0.05 if promised else 2.0
                yield Row(
                    f"any false better or worse, {how}", design, share, repetitions, high=high
                )
            share = counts["agree"] / repetitions
            yield Row("every interval agrees with its verdict", design, share, repetitions, low=1.0)


def power_rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield what own errors cost, and what steps and intervals do where all arms are better."""
    for seeds in SEEDS:
        truth = Truth(FIVE, seeds, effect={"flip": 2.0})
        counts, design = of_reports(truth, repetitions, generator), f"five arms, {seeds} seeds"
        for how in ("one error", "own errors", "report"):
            name = f"a difference of 2 sd is detected, {how}"
            yield Row(name, design, counts[how] / repetitions, repetitions)
    for seeds, effect in ((3, 2.5), (5, 1.6), (8, 1.6)):
        truth = Truth(FIVE, seeds, effect=dict.fromkeys(OTHERS, effect))
        counts, each = of_reports(truth, repetitions, generator), repetitions * len(OTHERS)
        design = f"five arms, {seeds} seeds, all {effect} sd better"
        for how, name in (("one error", "one error, a single step"), ("report", "report")):
            share = counts[f"{how}, all"] / each
            yield Row(f"differences that are detected, {name}", design, share, each)
        share = counts["covered"] / repetitions
        yield Row("all intervals cover at once", design, share, repetitions)
        share = counts["agree"] / repetitions
        yield Row("every interval agrees with its verdict", design, share, repetitions, low=1.0)


def mixed_rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield what is false where some arms are much better, and a later step tests the last."""
    for seeds in (3, 8):
        truth = Truth(FIVE, seeds, effect=dict.fromkeys(OTHERS[1:], 15.0))
        counts = of_reports(truth, repetitions, generator)
        design = f"five arms, {seeds} seeds, all but one 15 sd better"
        share = counts["false"] / repetitions
        yield Row("any false better or worse, report", design, share, repetitions, high=0.05)
        share = counts["covered"] / repetitions
        yield Row("all intervals cover at once", design, share, repetitions)


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    both = itertools.chain(
        rows(repetitions, np.random.default_rng(20261)),
        power_rows(repetitions, np.random.default_rng(20262)),
        mixed_rows(repetitions, np.random.default_rng(20263)),
    )
    missed = print_table(both)
    write(f"\n{repetitions:,} experiments a row.")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
