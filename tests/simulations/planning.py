"""Whether printed numbers of seeds decide, and which differences look larger than they are.

    python -m tests.simulations.planning [repetitions]

A first experiment prints how many seeds decide; a second one has so many, and runs of its own. Old:
the number for the difference that was observed. Ours: for one that was declared, averaged over what
the first experiment tells of the spread. Prints the tables of docs/statistics.md; exits with 1 if a
row misses its target.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
import sys
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.planning import Planning, planning
from bench.analysis.stats import e_process, power, verdicts
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.sample import ALPHA, t_quantile
from bench.analysis.stats.verdicts import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE
from tests.simulations.rows import PAIR, THREE_BY_TWO, Row, Truth, experiments, print_table, write

MOST = 100  # seeds that the old way named
Decides = Callable[[int, float], str]  # number of seeds, true difference → verdict on it


def observed_seeds(effect: float, more_than: int) -> int | None:
    """Return how many seeds have 80 % power for the observed difference of two arms, the old way.

    ``effect`` is that difference in standard deviations of differences by seed.
    """

    def enough(seeds: int) -> bool:
        detectable = power.detectable(t_quantile(seeds - 1), seeds - 1) / math.sqrt(seeds)
        return detectable <= effect

    possible = range(more_than + 1, MOST + 1)
    first = bisect.bisect_left(possible, True, key=enough)
    return possible[first] if first < len(possible) else None


def paired(delta: float | None, generator: np.random.Generator) -> Decides:
    """Return what decides two arms, by drawing what such an experiment estimates."""

    def decide(seeds: int, difference: float) -> str:
        true, df = math.sqrt(2 / seeds), seeds - 1
        found = generator.normal(difference, true)
        error = true * math.sqrt(generator.chisquare(df) / df)
        contrast = Contrast(found, error, df, p=2 * float(stdtr(df, -abs(found) / error)))
        same = math.nan if delta is None else verdicts.equivalence(contrast, delta)
        return verdicts.verdict(found, contrast.p, same)

    return decide


def full(truth: Truth, generator: np.random.Generator) -> Decides:
    """Return what decides about the first comparison of a design, by drawing all of its runs."""

    def decide(seeds: int, difference: float) -> str:
        (level,) = truth.effect
        there = dataclasses.replace(truth, seeds=seeds, effect={level: difference})
        return next(iter(experiments(there, 1, generator)))[0].verdict

    return decide


def old_way(effect: float, repetitions: int, generator: np.random.Generator) -> tuple[int, int]:
    """Return how many inconclusive experiments of two arms printed a number, and how many decide."""
    decide, printed, decided = paired(None, generator), 0, 0
    truth = Truth(PAIR, effect={"dice": effect})
    for found in experiments(truth, repetitions, generator):
        one = found[0]
        if one.verdict != INCONCLUSIVE:
            continue
        seen = abs(one.contrast.difference) / one.contrast.error / math.sqrt(one.seeds)
        seeds = observed_seeds(seen, one.seeds)
        if seeds is not None:
            printed += 1
            decided += decide(seeds, effect) == BETTER
    return printed, decided


@dataclasses.dataclass
class Followed:
    """What became of experiments that printed a number of seeds, which a second one had."""

    printed: int = 0
    larger: int = 0  # more than what is named
    every: int = 0  # better by second experiments of all first ones, also of those that decided
    better: int = 0  # of the printed, where the true difference is ±δ
    equivalent: int = 0  # where there is none
    added: int = 0  # better, if seeds are added to those of the first experiment instead
    within: int = 0  # the number for the true spread is in the range, of all


def our_way(
    truth: Truth, decide: Decides, repetitions: int, generator: np.random.Generator
) -> Followed:
    """Return what becomes of inconclusive experiments whose true difference is the declared one."""
    (delta,), followed = truth.effect.values(), Followed()
    exact = _exactly(truth, delta)
    for found in experiments(truth, repetitions, generator):
        opened = dataclasses.replace(found[0], verdict=INCONCLUSIVE), *found[1:]
        seeds = _planned(opened, delta)[found[0].name].seeds
        if seeds is None:
            raise ValueError("an inconclusive comparison has a number of seeds")
        followed.every += seeds.seeds is not None and decide(seeds.seeds, delta) == BETTER
        if found[0].verdict != INCONCLUSIVE:
            continue
        followed.within += (seeds.low or math.inf) <= exact <= (seeds.high or math.inf)
        if seeds.seeds is None:
            followed.larger += 1
            continue
        followed.printed += 1
        followed.better += decide(seeds.seeds, delta) == BETTER
        followed.equivalent += decide(seeds.seeds, 0.0) == EQUIVALENT
        followed.added += _added(found[0].differences, seeds.seeds, delta, generator)
    return followed


def _exactly(truth: Truth, delta: float) -> float:
    """Return the number of seeds that decide if the spread is known to be 1."""
    found = next(iter(experiments(truth, 1, np.random.default_rng(0))))
    first = found[0]
    if first.model is None:
        raise ValueError("arms share their seeds")
    known = dataclasses.replace(
        first,
        verdict=INCONCLUSIVE,
        contrast=dataclasses.replace(first.contrast, df=10**6),
        model=dataclasses.replace(first.model, variance=1.0),
    )
    seeds = _planned((known, *found[1:]), delta)[first.name].seeds
    return math.inf if seeds is None or seeds.seeds is None else seeds.seeds


def _added(
    first: tuple[float, ...], seeds: int, delta: float, generator: np.random.Generator
) -> bool:
    """Tell whether two arms are called different if seeds are added to the first ones."""
    more = generator.normal(delta, math.sqrt(2), max(0, seeds - len(first)))
    values = np.concatenate([first, more])
    t = float(values.mean() / values.std(ddof=1) * math.sqrt(len(values)))
    return e_process.p_value(t, len(values) - 1, len(values) / 2) <= ALPHA


@dataclasses.dataclass(frozen=True)
class Found:
    """Differences of two arms that were found better or worse."""

    size: NDArray[np.float64]
    true: NDArray[np.float64]
    marked: NDArray[np.bool_]  # as probably smaller
    said: float  # how many times too large differences of 1 sd are said to be

    @property
    def times(self) -> float:
        """How many times too large they are on average."""
        return float(self.size.mean() / self.true.mean())


def found_by(
    seeds: int, effect: float | None, repetitions: int, generator: np.random.Generator
) -> Found:
    """Return what experiments of two arms find.

    True differences are normal with a standard deviation of 1 where ``effect`` is None.
    """
    size, truths, marks, said = [], [], [], math.nan
    for _ in range(repetitions):
        true = abs(generator.standard_normal()) if effect is None else effect
        (found,) = experiments(Truth(PAIR, seeds, effect={"dice": true}), 1, generator)
        if found[0].verdict in (BETTER, WORSE):
            plan = _planned(found, None)[found[0].name]
            size.append(abs(found[0].contrast.difference))
            truths.append(true)
            marks.append(plan.exaggerated)
            said = plan.exaggeration
    return Found(np.array(size), np.array(truths), np.array(marks), said)


def _planned(found: tuple[Comparison, ...], delta: float | None) -> dict[str, Planning]:
    correction = "holm" if len(found) > 1 else "none"
    return planning(found, correction=correction, delta=delta, any_time=False)


def rows(repetitions: int, generator: np.random.Generator) -> Iterator[Row]:
    """Yield the table of numbers of seeds."""
    for effect in (0.5, 1.0):
        name = f"two arms, {effect:g} sd, from 3 seeds"
        printed, decided = old_way(effect, repetitions, generator)
        yield Row("number decides, old: observed difference", name, decided / printed, printed)
        truth = Truth(PAIR, effect={"dice": effect}, delta=effect)
        found = our_way(truth, paired(effect, generator), repetitions, generator)
        yield from _followed(name, found, repetitions)
        share = found.added / found.printed
        what = "±δ is better, if seeds are added up to it instead"
        yield Row(what, name, share, found.printed)
    truth = Truth(THREE_BY_TWO, effect={"dice": 1.0}, delta=1.0)
    found = our_way(truth, full(truth, generator), repetitions, generator)
    yield from _followed("3 × 2, 1 sd, from 3 seeds", found, repetitions)


def _followed(name: str, found: Followed, repetitions: int) -> Iterator[Row]:
    n, every = found.printed, found.printed + found.larger
    yield Row("number decides, ours: ±δ is better", name, found.better / n, n, low=0.8)
    yield Row("number decides, ours: 0 is equivalent", name, found.equivalent / n, n, low=0.8)
    share, what = found.every / repetitions, "±δ is better, also where the first one decided"
    yield Row(what, name, share, repetitions, low=0.78)
    yield Row("range holds the number for the true spread", name, found.within / every, every, 0.88)
    yield Row("no number: more than 1,000", name, found.larger / every, every)


def exaggerated(repetitions: int, generator: np.random.Generator) -> bool:
    """Print the table of differences that look too large; return whether a row misses its target.

    Where true differences are about as large as runs vary, or less, most of those that few seeds
    find have to be marked, and most of these have to be too large. What is said of 1 sd has to be
    true.
    """
    write(
        "\n| true difference | seeds | found | of these marked | of these too large | "
        "times as large as true | said of 1 sd |\n| --- | --: | --: | --: | --: | --: | --: |"
    )
    missed = False
    for seeds in (3, 5, 10, 20):
        for effect in (0.5, 1.0, 3.0, None):
            found = found_by(seeds, effect, repetitions, generator)
            count, marked = len(found.size), found.marked
            share = float(marked.mean())
            large = float((found.size > found.true)[marked].mean()) if marked.any() else math.nan
            bad = seeds <= 10 and effect != 3.0 and (share < 0.8 or large < 0.65)
            error = found.size.std() / math.sqrt(count)
            bad |= effect == 1.0 and abs(found.times - found.said) > 3 * error
            missed |= bad
            what = "normal, 1 sd" if effect is None else f"{effect:g} sd"
            cells = (
                what,
                f"{seeds}",
                f"{100 * count / repetitions:.0f} %",
                f"{100 * share:.0f} %",
                "–" if math.isnan(large) else f"{100 * large:.0f} %",
                f"{found.times:.2f}",
                f"{found.said:.2f}" + (" **missed**" if bad else ""),
            )
            write(f"| {' | '.join(cells)} |")
    return missed


def main() -> int:
    """Print the tables; return 1 if a target is missed."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    generator = np.random.default_rng(20266)
    missed = print_table(rows(repetitions, generator))
    missed |= exaggerated(repetitions, generator)
    write(f"\n{repetitions:,} first experiments a row.")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
