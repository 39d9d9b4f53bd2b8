"""How often the interval of P(higher) covers the probability that a run scores higher.

    python -m tests.simulations.superiority [repetitions]

Experiments go through the code that reports use. ``Normal`` is the interval as published, with the
normal quantile, and ``ours`` that with Student's t. Prints a table of docs/statistics.md; exits
with 1 if a row misses its target.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator

import numpy as np
from scipy import special

from bench.analysis.effects.estimates import estimates
from bench.analysis.stats.superiority import variance
from tests.simulations.rows import (
    PAIR,
    THREE_BY_TWO,
    Row,
    Truth,
    drawn,
    planned,
    print_table,
    write,
)

COVERS = "interval of P(higher) covers"
NORMAL = float(special.ndtri(0.975))
PLAIN = Truth(PAIR)
FACTORIAL = Truth(THREE_BY_TWO, seed_sd=1.0)
UNEQUAL = "runs of one vary 3 times as much"
HELD = {  # where the target holds
    "arms alike": PLAIN,
    "arms 1 sd apart": dataclasses.replace(PLAIN, effect={"dice": 1.0}),
    "arms 2 sd apart": dataclasses.replace(PLAIN, effect={"dice": 2.0}),
    "runs of a seed correlate by 0.5": dataclasses.replace(PLAIN, seed_sd=1.0),
    "3 × 2, a seed moves all arms by 1 sd": FACTORIAL,
    "the same, losses 1 sd apart": dataclasses.replace(FACTORIAL, effect={"dice": 1.0}),
}
BROKEN = {
    "runs of a seed correlate by −0.2": dataclasses.replace(
        PLAIN, shared={"ce": -0.5, "dice": 0.5}
    ),
    UNEQUAL: dataclasses.replace(PLAIN, noisy={"dice": 3.0}),
}


def probability(truth: Truth) -> float:
    """Return the true probability that a run of dice is above one of ce, of another seed."""
    variances = [
        truth.noisy.get(level, 1.0) ** 2 + truth.seed_sd**2 + truth.shared.get(level, 0.0) ** 2
        for level in ("ce", "dice")
    ]
    return float(special.ndtr(truth.effect.get("dice", 0.0) / math.sqrt(sum(variances))))


def covered(truth: Truth, repetitions: int, generator: np.random.Generator) -> tuple[float, float]:
    """Return how often the published interval holds the true probability, and ours does."""
    results, right = planned(tuple(truth.factors.items()), truth.seeds), probability(truth)
    normal = ours = 0
    for runs in drawn(truth, repetitions, generator):
        one = estimates(results, runs)[0]
        low, high = one.probability_interval
        reach = NORMAL * math.sqrt(variance(right, [(truth.seeds, truth.seeds)] * one.cells))
        normal += abs(one.probability - right) <= reach
        ours += low <= right <= high
    return normal / repetitions, ours / repetitions


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table."""
    for name, truth in (HELD | BROKEN).items():
        for seeds in (3, 5, 10):
            sized = dataclasses.replace(truth, seeds=seeds)
            normal, ours = covered(sized, repetitions, generator)
            design, least = f"{name}, {seeds} seeds", 0.95 if name in HELD else -1.0
            yield Row(f"{COVERS}, normal", design, normal, repetitions)
            yield Row(f"{COVERS}, ours", design, ours, repetitions, low=least)


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    missed = print_table(rows(repetitions, np.random.default_rng(20266)))
    write(f"\n{repetitions:,} experiments a row.")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
