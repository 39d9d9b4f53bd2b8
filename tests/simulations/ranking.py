"""How far to trust that an arm is the best in so many per cent of draws.

    python -m tests.simulations.ranking [repetitions]

Experiments go through the code that reports use. ``Resampled`` draws seeds with replacement, as
challenges draw test images; ``ours`` draws means by Student's t. Prints a table of
docs/statistics.md; exits with 1 if a row misses its target.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects.ranking import rankings
from bench.analysis.effects.runs import Runs
from bench.analysis.stats.ranks import rank_shares
from tests.simulations.rows import FIVE, PAIR, Row, Truth, drawn, planned, print_table, write

SURE = 0.95
RESAMPLES = 1000
FALSE = f"an arm is the best in {100 * SURE:.0f} % of draws, and none is"
RIGHT = f"where an arm is the best in {100 * SURE:.0f} % of draws, it is"
ALIKE = {
    "two arms": Truth(PAIR),
    "two arms, runs of a seed correlate by 0.5": Truth(PAIR, seed_sd=1.0),
    "two arms, runs of one vary 3 times as much": Truth(PAIR, noisy={"dice": 3.0}),
    "five arms": Truth(FIVE),
}


def resampled(scores: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Return how often each of (K, S) arms has the highest mean of seeds drawn with replacement."""
    seeds = scores.shape[1]
    counts = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    return rank_shares(counts @ scores.T / seeds, generator)[:, 0]


def shares(
    truth: Truth, repetitions: int, generator: np.random.Generator, *, spread: float = 0.0
) -> Iterator[tuple[dict[str, float], dict[str, float], str]]:
    """Yield how often each arm is the best, resampled and by ours, and which truly is.

    True means have a standard deviation of ``spread``.
    """
    results = planned(tuple(truth.factors.items()), truth.seeds)
    labels = list(results.arms)
    for runs in drawn(truth, repetitions, generator):
        means = spread * generator.standard_normal(len(labels))
        scores = runs.table(labels) + means[:, None]
        moved = Runs(dict(zip(labels, scores, strict=True)), runs.seeds)
        (over,) = rankings(results, moved, {})
        old = dict(zip(labels, resampled(scores, generator).tolist(), strict=True))
        ours = {label: over.first(label) for label in labels}
        yield old, ours, labels[int(means.argmax())]


def called(truth: Truth, repetitions: int, generator: np.random.Generator) -> tuple[float, float]:
    """Return how often some arm is called the best where all are alike: resampled, and by ours."""
    found = [
        [max(one.values()) >= SURE for one in (old, ours)]
        for old, ours, _ in shares(truth, repetitions, generator)
    ]
    old, ours = np.mean(found, axis=0).tolist()
    return old, ours


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table."""
    for name, truth in ALIKE.items():
        for seeds in (3, 5, 10):
            sized, design = dataclasses.replace(truth, seeds=seeds), f"{name}, {seeds} seeds"
            old, ours = called(sized, repetitions, generator)
            yield Row(f"{FALSE}, resampled", design, old, repetitions)
            yield Row(f"{FALSE}, ours", design, ours, repetitions, high=2 * (1 - SURE))
    for name in ("two arms", "five arms"):
        for seeds in (3, 5, 10):
            sized = dataclasses.replace(ALIKE[name], seeds=seeds)
            found: tuple[list[bool], list[bool]] = [], []
            for old, ours, best in shares(sized, repetitions, generator, spread=1.0):
                for right, one in zip(found, (old, ours), strict=True):
                    right += [label == best for label, share in one.items() if share >= SURE]
            design = f"{name}, {seeds} seeds, true means vary by 1 sd"
            for how, right, least in zip(("resampled", "ours"), found, (-1.0, SURE), strict=True):
                if right:
                    share, times = float(np.mean(right)), f"{len(right)} times"
                    yield Row(f"{RIGHT}, {how}", f"{design}, {times}", share, len(right), low=least)


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    missed = print_table(rows(repetitions, np.random.default_rng(20267)))
    write(f"\n{repetitions:,} experiments a row.")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
