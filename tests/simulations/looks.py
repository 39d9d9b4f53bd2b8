"""How often looking several times finds differences that are not there, the old way and ours.

    python -m tests.simulations.looks [repetitions]

Old: a verdict for one look, at each of several numbers of seeds until something is decided. Ours:
verdicts that hold at any number of seeds, which reports give from the second look on, and looks
that are declared, at which runs stop what is decided. Prints a table of docs/statistics.md; exits with 1 if a row that has a
target misses it.
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects import declared_looks, looks
from bench.analysis.effects.comparisons import Comparison, compare
from bench.analysis.effects.declared_looks import Series
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import sequential
from bench.analysis.stats.e_process import critical_value
from bench.analysis.stats.sample import t_quantile
from bench.analysis.stats.sequential import Look
from bench.analysis.stats.verdicts import BETTER, EQUIVALENT, WORSE
from bench.store.frame import Results
from tests.simulations.planning import MOST, observed_seeds
from tests.simulations.rows import (
    FIVE,
    PAIR,
    THREE_BY_TWO,
    Row,
    Truth,
    drawn,
    experiments,
    planned,
    print_table,
    write,
)

DESIGNS = {"two arms": PAIR, "3 × 2": THREE_BY_TWO, "five arms": FIVE}
FALSE = "any false better or worse"
SAME = "any false equivalent"
LOOKS = (3, 5, 8)
MANY = 100_000  # series of two arms, of which only t is computed


Decide = Callable[[Results, Runs], tuple[Comparison, ...]]
Critical = Callable[[int], float]  # number of seeds → what |t| has to reach


def single(results: Results, runs: Runs) -> tuple[Comparison, ...]:
    """Return the verdicts for a single look."""
    return compare(results, runs, delta=None, higher_is_better=True)[1]


def always(results: Results, runs: Runs) -> tuple[Comparison, ...]:
    """Return the verdicts that hold whenever one looks."""
    return looks.always_valid(results, runs, delta=None, higher_is_better=True)[1]


def false_verdicts(
    name: str, at: Sequence[int], decide: Decide, repetitions: int, generator: np.random.Generator
) -> float:
    """Return how often any of some looks decides something where nothing differs."""
    results = planned(tuple(DESIGNS[name].items()), at[-1])
    arms, found = list(results.arms), 0
    for _ in range(repetitions):
        scores = generator.standard_normal((len(arms), at[-1]))
        scores += generator.standard_normal(at[-1])
        for seeds in at:
            part = np.where(np.arange(at[-1]) < seeds, scores, np.nan)
            runs = Runs(dict(zip(arms, part, strict=True)), tuple(range(at[-1])))
            if any(one.verdict in (BETTER, WORSE) for one in decide(results, runs)):
                found += 1
                break
    return found / repetitions


def followed(
    truth: Truth, at: tuple[int, ...], repetitions: int, generator: np.random.Generator
) -> Iterator[Series]:
    """Yield what declared looks come to in one simulated experiment after the other.

    A run measures what these plan; more scores than it would have change nothing.
    """
    truth = dataclasses.replace(truth, seeds=at[-1])
    results = planned(tuple(truth.factors.items()), at[-1])
    all_there = dict.fromkeys(results.arms, at[-1])
    for runs in drawn(truth, repetitions, generator):
        yield declared_looks.follow(
            results, runs, all_there, at=at, delta=truth.delta, higher_is_better=True
        )


def false_at_looks(
    truth: Truth,
    at: tuple[int, ...],
    repetitions: int,
    generator: np.random.Generator,
    verdicts: Sequence[str] = (BETTER, WORSE),
) -> float:
    """Return how often declared looks give any comparison one of some verdicts."""
    found = (
        any(one.verdict in verdicts for one in each.followed)
        for each in followed(truth, at, repetitions, generator)
    )
    return sum(found) / repetitions


def series(
    at: Sequence[int],
    critical: Critical,
    count: int,
    generator: np.random.Generator,
    effect: float = 0.0,
) -> tuple[float, float]:
    """Return how often t of two arms decides at any look, and the mean number of seeds then.

    ``effect`` is the true difference in standard deviations of runs.
    """
    sums, squares = np.zeros(count), np.zeros(count)
    used = np.full(count, at[-1])
    decided = np.zeros(count, bool)
    for seeds in range(1, at[-1] + 1):
        new = generator.standard_normal(count) + effect / math.sqrt(2)
        sums, squares = sums + new, squares + new**2
        if seeds in at:
            now = np.abs(sums / seeds) >= critical(seeds) * _error(sums, squares, seeds)
            used[now & ~decided] = seeds
            decided |= now
    return float(decided.mean()), float(used.mean())


def following_advice(count: int, generator: np.random.Generator) -> float:
    """Return how often two arms differ for who measures the seeds that would decide, repeatedly."""
    values, found = generator.standard_normal((count, MOST)), 0
    for row in values:
        seeds: int | None = 3
        while seeds is not None:
            mean, sd = row[:seeds].mean(), row[:seeds].std(ddof=1)
            if abs(mean) >= t_quantile(seeds - 1) * sd / math.sqrt(seeds):
                found += 1
                break
            seeds = observed_seeds(abs(mean) / sd, seeds)
    return found / count


def declared(at: Sequence[int]) -> Critical:
    """Return the bounds of declared looks at two arms."""
    all_looks = tuple(Look(n / at[-1], n / 2, n - 1) for n in at)
    bounds = {n: sequential.bound(all_looks[: k + 1], 0.05) for k, n in enumerate(at)}
    return bounds.__getitem__


def one_look(seeds: int) -> float:
    """Return what |t| of two arms has to reach if nobody looks twice."""
    return t_quantile(seeds - 1)


def any_time(seeds: int) -> float:
    """Return what |t| of two arms has to reach whenever one looks."""
    return critical_value(seeds - 1, seeds / 2)


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table."""
    at = range(3, 11)
    for name in DESIGNS:
        found = false_verdicts(name, at, single, repetitions, generator)
        yield Row(f"{FALSE}, old: looks at 3 … 10 seeds", name, found, repetitions)
        found = false_verdicts(name, at, always, repetitions, generator)
        yield Row(f"{FALSE}, ours: the same looks", name, found, repetitions, high=0.05)
    found = following_advice(repetitions, generator)
    yield Row(f"{FALSE}, old: “seeds needed” followed", "two arms", found, repetitions)
    many = f"two arms, {MANY:,} at once"
    for seeds, critical, said in (
        (50, one_look, "old: looks at 3 … 50 seeds"),
        (50, any_time, "ours: the same looks"),
        (10, _first_alone, "first look as if alone, then ours at 4 … 10"),
    ):
        found = series(range(3, seeds + 1), critical, MANY, generator)[0]
        target = {"high": 0.05} if critical is any_time else {}
        yield Row(f"{FALSE}, {said}", many, found, MANY, **target)
    for name, truth in NULL.items():
        found = false_at_looks(truth, LOOKS, repetitions, generator)
        yield Row(f"{FALSE}, declared looks: 3, 5, 8", name, found, repetitions, high=0.05)
    found = false_at_looks(Truth(PAIR), tuple(range(3, 21)), repetitions, generator)
    until = "until decided, at most 20"
    yield Row(f"{FALSE}, declared looks: {until}", "two arms", found, repetitions, high=0.05)
    for name, truth in AT_THE_MARGIN.items():
        found = false_at_looks(truth, LOOKS, repetitions, generator, [EQUIVALENT])
        yield Row(f"{SAME}, declared looks: 3, 5, 8", name, found, repetitions, high=0.05)
    for looked, said in (((3, 5, 8), "3, 5, 8"), (range(3, 21), "3 … 20")):
        found = series(looked, declared(looked), MANY, generator)[0]
        yield Row(f"{FALSE}, bounds of declared looks: {said}", many, found, MANY, high=0.05)


def saved(generator: np.random.Generator) -> Iterator[str]:
    """Yield, for true differences, how often they are decided and with how many seeds."""
    yield "\n| two arms that differ by | looks | decided | seeds, mean |\n| --- | --- | --: | --: |"
    at = range(3, 21)
    ways: tuple[tuple[str, Sequence[int], Critical], ...] = (
        ("once, at 20 seeds", (20,), one_look),
        ("declared: 3 … 20", at, declared(at)),
        ("any time: 3 … 20", at, any_time),
    )
    for effect in (1.0, 1.5, 2.0):
        for said, looked, critical in ways:
            share, seeds = series(looked, critical, MANY, generator, effect)
            yield f"| {effect:g} sd | {said} | {100 * share:.0f} % | {seeds:.1f} |"


def saved_trials(repetitions: int, generator: np.random.Generator) -> Iterator[str]:
    """Yield, for whole experiments, what is decided and how many trials it took."""
    yield (
        "\n| five arms, of which four differ from the baseline by … | looks | of these decided | "
        "trials, mean |\n| --- | --- | --: | --: |"
    )
    others = FIVE["augmentation"][1:]
    for effect in (2.0, 3.0, 5.0):
        for at, said in ((LOOKS, "3, 5, 8"), (tuple(range(3, 13)), "until decided, at most 12")):
            truth = Truth(FIVE, at[-1], effect=dict.fromkeys(others, effect))
            once = [
                sum(one.verdict == BETTER for one in compared)
                for compared in experiments(truth, repetitions, generator)
            ]
            trials, found = 0, 0
            for each in followed(truth, at, repetitions, generator):
                trials += sum(each.planned.values())
                found += sum(one.verdict == BETTER for one in each.followed)
            ways = (
                (f"once, at {at[-1]} seeds", sum(once), 5.0 * at[-1]),
                (f"declared: {said}", found, trials / repetitions),
            )
            for way, count, mean in ways:
                share = count / (len(others) * repetitions)
                yield f"| {effect:g} sd | {way} | {100 * share:.0f} % | {mean:.1f} |"


def _first_alone(seeds: int) -> float:
    return one_look(seeds) if seeds == 3 else any_time(seeds)


def _error(
    sums: NDArray[np.float64], squares: NDArray[np.float64], seeds: int
) -> NDArray[np.float64]:
    """Return the standard error of the mean of normal values; never of one value."""
    error: NDArray[np.float64] = np.sqrt((squares - sums**2 / seeds) / (seeds - 1) / seeds)
    return error


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    generator = np.random.default_rng(20263)
    missed = print_table(rows(repetitions, generator))
    for line in (*saved(generator), *saved_trials(repetitions, generator)):
        write(line)
    write(f"\n{repetitions:,} experiments a row, where it says nothing else.")
    return int(missed)


NULL = {
    "two arms": Truth(PAIR, seed_sd=1.0),
    "3 × 2": Truth(THREE_BY_TWO, seed_sd=1.0),
    "five arms": Truth(FIVE, seed_sd=1.0),
    "five arms, runs of the baseline vary 3 times as much": Truth(FIVE, noisy={"none": 3.0}),
    "five arms, three trials lost": Truth(FIVE, missing=3),
}
_OFF = 1.5  # sd: what is off by as much as δ must not be called equivalent
AT_THE_MARGIN = {
    "two arms": Truth(PAIR, effect={"dice": _OFF}, delta=_OFF),
    "five arms": Truth(
        FIVE, effect={"flip": _OFF, "crop": -_OFF, "colour": _OFF, "all": -_OFF}, delta=_OFF
    ),
}

if __name__ == "__main__":
    raise SystemExit(main())
