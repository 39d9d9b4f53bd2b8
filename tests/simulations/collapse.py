"""What collapsed runs do to verdicts, and how the mean of the runs that trained and counts fare.

    python -m tests.simulations.collapse [repetitions]

Two arms, or 3 × 2, whose runs have a standard deviation of 2 points; each run collapses to 5 points
with some probability. Experiments go through the code that reports use. Prints the table of
docs/statistics.md; exits with 1 if a row misses its target.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator

import numpy as np

from bench.analysis.effects.collapse import collapse
from bench.analysis.effects.comparisons import Comparison, compare
from bench.analysis.effects.endings import COLLAPSED, TRAINED
from bench.analysis.effects.runs import Runs
from bench.analysis.stats.sample import ALPHA
from bench.analysis.stats.verdicts import BETTER, INCONCLUSIVE
from tests.simulations.rows import PAIR, THREE_BY_TWO, Row, planned, print_table, write

MEAN, SD, FALLEN = 0.60, 0.02, 0.05
EFFECT = 0.06  # of the arms that are better, where any are
DESIGNS = {"two arms": PAIR, "3 × 2": THREE_BY_TWO}


def counts(
    design: str,
    seeds: int,
    repetitions: int,
    generator: np.random.Generator,
    *,
    collapsing: float,
    effect: float = 0.0,
    by_seed: bool = False,
) -> Counter[str]:
    """Count what happened, of experiments whose runs collapse with some probability.

    ``effect`` is that of ``dice``; ``by_seed`` lets all runs of a seed collapse together.
    """
    results = planned(tuple(DESIGNS[design].items()), seeds)
    arms, found = list(results.arms), Counter[str]()
    shift = np.array([effect * ("dice" in results.arms[arm].values()) for arm in arms])

    def decide(runs: Runs) -> tuple[Comparison, ...]:
        return compare(results, runs, delta=None, higher_is_better=True)[1]

    for _ in range(repetitions):
        scores = MEAN + shift[:, None] + SD * generator.standard_normal((len(arms), seeds))
        fallen = generator.random((1 if by_seed else len(arms), seeds)) < collapsing
        fallen = np.broadcast_to(fallen, scores.shape)
        scores[fallen] = FALLEN + 0.001 * generator.standard_normal(int(fallen.sum()))
        runs = Runs(dict(zip(arms, scores, strict=True)), tuple(range(seeds)))
        ended = {
            (arm, seed): COLLAPSED if fallen[i, seed] else TRAINED
            for i, arm in enumerate(arms)
            for seed in range(seeds)
        }
        plain = [one.verdict for one in decide(runs)]
        warned = collapse(results, runs, ended, decide)
        trained = plain if warned is None else [one.verdict for one in warned.trained]
        found["plain"] += plain[0] == BETTER
        found["plain, any"] += any(verdict != INCONCLUSIVE for verdict in plain)
        found["missed"] += plain[0] != BETTER
        found["missed, warned"] += plain[0] != BETTER and warned is not None
        found["trained"] += trained[0] == BETTER
        found["trained, any"] += any(verdict != INCONCLUSIVE for verdict in trained)
        found["test, any"] += warned is not None and any(
            one.p_adjusted <= ALPHA for one in warned.tests
        )
    return found


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table."""
    for collapsing in (0.0, 0.1):
        found = counts("two arms", 5, repetitions, generator, collapsing=collapsing, effect=EFFECT)
        design = f"two arms, 5 seeds, {100 * collapsing:.0f} % collapse"
        name = "+6 points are detected"
        ends = (0.15, 0.45) if collapsing else (0.88, 1.0)
        yield Row(f"{name}, all runs", design, found["plain"] / repetitions, repetitions, *ends)
        if collapsing:
            missed = found["missed"]
            share = found["missed, warned"] / missed
            yield Row("they are missed, and there is a warning", design, share, missed, low=0.9)
            share = found["trained"] / repetitions
            yield Row(f"{name}, runs that trained", design, share, repetitions, low=0.75)

    for design, collapsing, by_seed in (
        ("two arms", 0.1, False),
        ("two arms", 0.3, False),
        ("two arms", 0.5, False),
        ("3 × 2", 0.1, False),
        ("3 × 2", 0.5, False),
        ("two arms", 0.5, True),
        ("3 × 2", 0.3, True),
    ):
        found = counts(design, 5, repetitions, generator, collapsing=collapsing, by_seed=by_seed)
        how = f"{100 * collapsing:.0f} % {'of seeds ' if by_seed else ''}collapse"
        truth = f"{design}, 5 seeds, {how}"
        for name, key in (
            ("any false better or worse, runs that trained", "trained, any"),
            ("any false difference in how often runs collapse", "test, any"),
        ):
            yield Row(name, truth, found[key] / repetitions, repetitions, high=ALPHA)


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    missed = print_table(rows(repetitions, np.random.default_rng(20264)))
    write(f"\n{repetitions:,} experiments a row.")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
