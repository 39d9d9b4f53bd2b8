"""What tuning does to verdicts: an arm tuned on the seeds that are reported, and every arm alike.

All settings of all arms are equally good: what is called better is a false positive. Scores are
drawn for every seed and setting, settings are chosen and arms compared by the code that `run` and
reports use. Prints the table of docs/statistics.md; exits with 1 if a row misses its target.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects import tuned_verdicts
from bench.analysis.effects.comparisons import compare
from bench.analysis.effects.runs import Runs
from bench.analysis.effects.tuned_verdicts import EVERYWHERE, FLIPS
from bench.analysis.stats.tuning import best
from bench.analysis.stats.verdicts import BETTER
from tests.simulations.rows import PAIR, Row, planned, print_table, write

SEEDS, TUNING_SEEDS = 5, 3  # reported, and by which settings are chosen
WORST = -100.0
Array = NDArray[np.float64]


def tuned_alone(settings: int, repetitions: int, generator: np.random.Generator) -> float:
    """Return how often an arm is better that was tuned on the seeds reported, the other not."""
    better = 0
    for _ in range(repetitions):
        scores = generator.standard_normal((settings, SEEDS))
        chosen = scores[best(scores, worst=WORST)]
        better += _better(generator.standard_normal(SEEDS), chosen)
    return better / repetitions


def tuned_alike(
    settings: int, repetitions: int, generator: np.random.Generator, *, step: float = 0.0
) -> float:
    """Return how often an arm is better if both were tuned on other seeds than are reported.

    Each setting is by ``step`` worse than the one before, alike for both arms.
    """
    better = 0
    quality = -step * np.arange(settings)
    for _ in range(repetitions):
        arms = []
        for _arm in range(2):
            tried = quality[:, None] + generator.standard_normal((settings, TUNING_SEEDS))
            chosen = best(tried, worst=WORST)
            arms.append(quality[chosen] + generator.standard_normal(SEEDS))
        better += _better(*arms)
    return better / repetitions


def tuned_by_seed(
    repeats: int, repetitions: int, generator: np.random.Generator, *, step: float
) -> float:
    """Return how often equal arms are told apart that are tuned once, or once for each seed.

    What is claimed is about arms as they are trained by whoever tunes them likewise, so that which
    values one tuning chose is chance. Each setting is by ``step`` worse than the one before.
    """
    different = 0
    quality = -step * np.arange(5)
    for _ in range(repetitions):
        arms = []
        for _arm in range(2):
            tried = quality[:, None, None] + generator.standard_normal((5, repeats, TUNING_SEEDS))
            chosen = [best(tried[:, each], worst=WORST) for each in range(repeats)]
            arms.append(quality[chosen] + generator.standard_normal(SEEDS))
        different += _better(*arms) + _better(*reversed(arms))
    return different / repetitions


def concluded(
    kind: str,
    effects: Array,
    repetitions: int,
    generator: np.random.Generator,
    *,
    noisy: float = 1.0,
    tuned: float | None = None,
) -> float:
    """Return how often a conclusion of a kind is drawn.

    ``effects`` are the true differences at the common values; the default is the first of them,
    ``tuned`` the difference of tuned arms, by default the largest. Runs at the last value vary
    ``noisy`` times as much as elsewhere.
    """
    results = planned(tuple(PAIR.items()), SEEDS)
    base, other = results.arms
    sd = np.ones(len(effects))
    sd[-1] = noisy
    found = 0
    for _ in range(repetitions):
        shift = (effects.max() if tuned is None else tuned, effects[0])
        measured = [
            compare(results, _runs(base, other, by, SEEDS, 1.0, generator), delta=None,
                    higher_is_better=True)[1]
            for by in shift
        ]  # fmt: skip
        common = {
            (("x", float(i)),): _runs(base, other, by, TUNING_SEEDS, sd[i], generator)
            for i, by in enumerate(effects)
        }
        one = tuned_verdicts.conclusions(results, *measured, common, (), delta=None)[0]
        found += one.kind == kind
    return found / repetitions


def _runs(
    base: str, other: str, by: float, seeds: int, sd: float, generator: np.random.Generator
) -> Runs:
    table = sd * generator.standard_normal((2, seeds))
    return Runs({base: table[0], other: table[1] + by}, tuple(range(seeds)))


def _better(base: Array, other: Array) -> bool:
    """Tell whether the second of two arms is called better."""
    results = planned(tuple(PAIR.items()), SEEDS)
    runs = Runs(dict(zip(results.arms, (base, other), strict=True)), tuple(range(SEEDS)))
    comparisons = compare(results, runs, delta=None, higher_is_better=True)[1]
    return comparisons[0].verdict == BETTER


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table."""
    what = "one is falsely better"
    for settings in (5, 20):
        share = tuned_alone(settings, repetitions, generator)
        yield Row(what, f"one arm tuned over {settings} on reported seeds", share, repetitions)
    for settings in (5, 20):
        share = tuned_alike(settings, repetitions, generator)
        name = f"all tuned alike over {settings}, fresh seeds"
        yield Row(what, name, share, repetitions, high=0.025)
    for step in (0.3, 1.0):
        share = tuned_alike(5, repetitions, generator, step=step)
        name = f"all tuned alike over 5, each {step:g} sd worse than the one before"
        yield Row(what, name, share, repetitions)
    for repeats in (1, SEEDS):
        what = "equal arms are told apart"
        share = tuned_by_seed(repeats, repetitions, generator, step=1.0)
        name = f"tuned over 5, each 1 sd worse than the one before, {repeats} × for 5 seeds"
        yield Row(what, name, share, repetitions, high=0.05 if repeats > 1 else 2.0)
    large = np.array([6.0, 6.0, 6.0, 6.0, 0.0])
    for noisy in (1.0, 3.0):
        name = "no difference at 1 of 5 values" + ", whose runs vary 3 times as much" * (noisy > 1)
        share = concluded(EVERYWHERE, large, repetitions, generator, noisy=noisy)
        limit = 0.025 if noisy == 1 else 2.0
        yield Row("there is a false “holds at every rate”", name, share, repetitions, high=limit)
        share = concluded(FLIPS, large, repetitions, generator, noisy=noisy)
        limit = 0.05 if noisy == 1 else 2.0
        yield Row("there is a false “flips with the rate”", name, share, repetitions, high=limit)
    one_rate = np.array([0.0, 6.0, 0.0, 0.0, 0.0])
    share = concluded(FLIPS, one_rate, repetitions, generator, tuned=0.0)
    yield Row(
        "there is a false “flips with the rate”",
        "a difference at 1 of 5 values alone",
        share,
        repetitions,
        high=0.05,
    )


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    missed = print_table(rows(repetitions, np.random.default_rng(20261)))
    write(f"\n{repetitions:,} experiments a row.")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
