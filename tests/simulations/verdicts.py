"""How often intervals cover, verdicts err and effects are detected, by simulating experiments.

    python -m tests.simulations.verdicts [repetitions]

Each repetition draws a score for every trial of a plan and sends them through the very code
that reports use. Prints the table of docs/statistics.md; exits with 1 if a row that has a
target misses it.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np

from bench.analysis.stats.families import dunnett_critical
from bench.analysis.stats.sample import describe
from bench.analysis.stats.verdicts import BETTER, EQUIVALENT, WORSE
from tests.simulations.rows import (
    CUBE,
    FIVE,
    PAIR,
    THREE_BY_TWO,
    Row,
    Truth,
    experiments,
    print_table,
    write,
)

MANY = 400_000  # experiments of which only the largest t is computed


def coverage(truth: Truth, repetitions: int, generator: np.random.Generator) -> float:
    """Return how often the interval of the first comparison holds the true difference."""
    covered = 0
    for comparisons in experiments(truth, repetitions, generator):
        contrast = comparisons[0].contrast
        covered += contrast.low <= truth.effect.get(comparisons[0].level, 0.0) <= contrast.high
    return covered / repetitions


def coverage_of_a_mean(seeds: int, repetitions: int, generator: np.random.Generator) -> float:
    """Return how often the interval of an arm's mean holds the true one."""
    samples = (describe(generator.standard_normal(seeds)) for _ in range(repetitions))
    return sum(sample.low <= 0 <= sample.high for sample in samples) / repetitions


def decided(
    truth: Truth, repetitions: int, generator: np.random.Generator, verdicts: Sequence[str]
) -> float:
    """Return how often any comparison gets one of some verdicts."""
    found = (
        any(one.verdict in verdicts for one in comparisons)
        for comparisons in experiments(truth, repetitions, generator)
    )
    return sum(found) / repetitions


def dunnett_at_once(repetitions: int, generator: np.random.Generator) -> float:
    """Return how often any of four differences from the first of five arms is decided."""
    scores = generator.normal(size=(repetitions, 5, 3))
    means = scores.mean(2)
    expected = means[:, :, None] + scores.mean(1, keepdims=True) - means.mean(1)[:, None, None]
    variance = ((scores - expected) ** 2).sum((1, 2)) / 8
    t = (means[:, 1:] - means[:, :1]) / np.sqrt(variance * 2 / 3)[:, None]
    return float((np.abs(t).max(1) > dunnett_critical(4, 8)).mean())


def power(
    truth: Truth,
    repetitions: int,
    generator: np.random.Generator,
    *,
    estimated: bool = False,
) -> float:
    """Return how often the first comparison is detected if its effect is what is detectable.

    What is printed as detectable is a multiple of the standard deviation that was estimated. The
    effect is that multiple of the true one; or, where ``estimated``, what an earlier experiment
    of the same design printed.
    """
    first = next(iter(experiments(truth, 1, generator)))[0]
    true_error = math.sqrt(2 / (first.cells * truth.seeds))
    effect = first.detectable / first.contrast.error * true_error
    level, detected = first.level, 0
    if not estimated:
        there = dataclasses.replace(truth, effect={level: effect})
        for comparisons in experiments(there, repetitions, generator):
            detected += comparisons[0].verdict == BETTER
        return detected / repetitions
    for earlier in experiments(truth, repetitions, generator):
        there = dataclasses.replace(truth, effect={level: earlier[0].detectable})
        detected += next(iter(experiments(there, 1, generator)))[0].verdict == BETTER
    return detected / repetitions


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table."""

    def row(what: str, truth: str, share: float, low: float = -1, high: float = 2) -> Row:
        return Row(what, truth, share, repetitions, low, high)

    for seeds in (3, 4, 5, 8):
        name, share = f"{seeds} seeds", coverage_of_a_mean(seeds, repetitions, generator)
        yield row("interval of an arm's mean covers", name, share, 0.93, 0.97)
    for seeds, (name, factors) in itertools.product((3, 4, 5, 8), NAMED.items()):
        truth = Truth(factors, seeds, seed_sd=1.0)
        share = coverage(truth, repetitions, generator)
        yield row("interval of a difference covers", f"{name}, {seeds} seeds", share, 0.93, 0.97)

    for name, truth in NULL.items():
        share = decided(truth, repetitions, generator, [BETTER, WORSE])
        yield row("any false better or worse", name, share, high=0.05)
    share = dunnett_at_once(MANY, np.random.default_rng(1))
    name = f"five arms, 3 seeds, {MANY:,} at once"
    yield Row("any false better or worse", name, share, MANY, high=0.05)
    for name, truth in AT_THE_MARGIN.items():
        share = decided(truth, repetitions, generator, [EQUIVALENT])
        yield row("any false equivalent", name, share, high=0.05)

    for name, truth in POWERFUL.items():
        share = power(truth, repetitions, generator)
        yield row("detectable difference is detected", name, share, 0.78, 0.82)
    for name in ("two arms, 3 seeds", "3 × 2, 3 seeds", "five arms, 3 seeds"):
        share = power(POWERFUL[name], repetitions // 2, generator, estimated=True)
        yield row("detectable by an earlier run is detected", name, share)

    for name, truth in VIOLATED.items():
        share = decided(truth, repetitions, generator, [BETTER, WORSE])
        yield row("any false better or worse", name, share)
        share = coverage(truth, repetitions, generator)
        yield row("interval of first difference covers", name, share)


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    missed = print_table(rows(repetitions, np.random.default_rng(20260)))
    write(f"\n{repetitions:,} experiments a row; half as many of those by an earlier run.")
    return int(missed)


NAMED = {"two arms": PAIR, "3 × 2": THREE_BY_TWO}
NULL = {
    "3 × 2, 3 seeds": Truth(THREE_BY_TWO),
    "3 × 2, 3 seeds that matter": Truth(THREE_BY_TWO, seed_sd=1.0),
    "five arms, 3 seeds": Truth(FIVE),
    "five arms, 3 seeds that matter": Truth(FIVE, seed_sd=1.0),
    "3 × 2, 3 seeds, two trials lost": Truth(THREE_BY_TWO, seed_sd=1.0, missing=2),
    "five arms, 3 seeds, one trial lost": Truth(FIVE, seed_sd=1.0, missing=1),
}
_OFF = 1.5  # sd: what is off by as much as δ must not be called equivalent
AT_THE_MARGIN = {
    "3 × 2, 5 seeds": Truth(
        THREE_BY_TWO,
        5,
        effect={"dice": _OFF, "dice+ce": -_OFF, "transposed": _OFF},
        delta=_OFF,
    ),
    "five arms, 8 seeds": Truth(
        FIVE,
        8,
        effect={"flip": _OFF, "crop": -_OFF, "colour": _OFF, "all": -_OFF},
        delta=_OFF,
    ),
}
POWERFUL = {
    "two arms, 3 seeds": Truth(PAIR),
    "two arms, 5 seeds": Truth(PAIR, 5),
    "3 × 2, 3 seeds": Truth(THREE_BY_TWO),
    "3 × 2, 5 seeds": Truth(THREE_BY_TWO, 5),
    "2 × 2 × 2, 3 seeds": Truth(CUBE),
    "five arms, 3 seeds": Truth(FIVE),
    "five arms, 5 seeds": Truth(FIVE, 5),
}
VIOLATED = {
    "3 × 2, runs of one loss vary 3 times as much": Truth(THREE_BY_TWO, noisy={"dice": 3.0}),
    "3 × 2, runs of the baseline's loss do": Truth(THREE_BY_TWO, noisy={"ce": 3.0}),
    "five arms, runs of one vary 3 times as much": Truth(FIVE, noisy={"flip": 3.0}),
    "five arms, runs of the baseline do": Truth(FIVE, noisy={"none": 3.0}),
    "3 × 2, a seed moves each loss by 0.5 sd": Truth(THREE_BY_TWO, level_sd=0.5),
    "3 × 2, a seed moves each loss by 1 sd": Truth(THREE_BY_TWO, level_sd=1.0),
}

if __name__ == "__main__":
    raise SystemExit(main())
