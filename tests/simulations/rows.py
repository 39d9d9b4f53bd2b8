"""Experiments drawn at random, and the tables that simulations of this folder print."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.analysis.effects.comparisons import Comparison, compare
from bench.analysis.effects.runs import Runs
from bench.store import frame, loading
from bench.store.folder import Store
from bench.store.plans import Plan, PlannedTrial

CUBE = {"a": ("a0", "a1"), "b": ("b0", "b1"), "c": ("c0", "c1")}
THREE_BY_TWO = {"loss": ("ce", "dice", "dice+ce"), "upsampling": ("bilinear", "transposed")}
FIVE = {"augmentation": ("none", "flip", "crop", "colour", "all")}
PAIR = {"loss": ("ce", "dice")}


@dataclass(frozen=True)
class Truth:
    """What is true of an experiment; the unit is the standard deviation between runs.

    Attributes:
        factors: levels of each; the first ones are the baseline.
        seeds: how many.
        seed_sd: of what a seed does to all arms alike.
        noisy: level → standard deviation of its runs, where it is not 1.
        effect: level → what it adds.
        level_sd: of what a seed does to all arms of a level, and not to the others.
        shared: level → standard deviation of what a seed does to all arms of these levels alike.
        missing: trials that do not finish, drawn at random.
        delta: differences within ±δ do not matter.
    """

    factors: Mapping[str, tuple[str, ...]]
    seeds: int = 3
    seed_sd: float = 0.0
    noisy: Mapping[str, float] = dataclasses.field(default_factory=dict)
    effect: Mapping[str, float] = dataclasses.field(default_factory=dict)
    level_sd: float = 0.0
    shared: Mapping[str, float] = dataclasses.field(default_factory=dict)
    missing: int = 0
    delta: float | None = None


@dataclass(frozen=True)
class Row:
    """A line of the table: a share of repetitions, and between which values it should lie."""

    what: str
    truth: str
    share: float
    repetitions: int
    low: float = -1.0
    high: float = 2.0

    @property
    def error(self) -> float:
        """Standard error of the share."""
        return math.sqrt(self.share * (1 - self.share) / self.repetitions)

    @property
    def missed(self) -> bool:
        """Whether the target is missed by more than chance explains in some forty rows."""
        return not self.low - 3 * self.error <= self.share <= self.high + 3 * self.error


def experiments(
    truth: Truth, repetitions: int, generator: np.random.Generator
) -> Iterator[tuple[Comparison, ...]]:
    """Yield the comparisons of one simulated experiment after the other."""
    results = planned(tuple(truth.factors.items()), truth.seeds)
    for runs in drawn(truth, repetitions, generator):
        yield compare(results, runs, delta=truth.delta, higher_is_better=True)[1]


def drawn(truth: Truth, repetitions: int, generator: np.random.Generator) -> Iterator[Runs]:
    """Yield the runs of one simulated experiment after the other."""
    results = planned(tuple(truth.factors.items()), truth.seeds)
    arms = list(results.arms)
    levels = [list(results.arms[arm].values()) for arm in arms]
    sd = np.array([math.prod(truth.noisy.get(level, 1.0) for level in own) for own in levels])
    shift = np.array([sum(truth.effect.get(level, 0.0) for level in own) for own in levels])
    together = np.array([sum(truth.shared.get(level, 0.0) for level in own) for own in levels])
    for _ in range(repetitions):
        scores = shift[:, None] + sd[:, None] * generator.standard_normal((len(arms), truth.seeds))
        scores += truth.seed_sd * generator.standard_normal(truth.seeds)
        if truth.shared:
            scores += together[:, None] * generator.standard_normal(truth.seeds)
        if truth.level_sd:
            names = sorted({level for own in levels for level in own})
            moved = truth.level_sd * generator.standard_normal((len(names), truth.seeds))
            own = np.array([[name in arm for name in names] for arm in levels], dtype=float)
            scores += own @ moved
        if truth.missing:
            lost = generator.choice(scores.size, truth.missing, replace=False)
            scores.flat[lost] = np.nan
        yield Runs(dict(zip(arms, scores, strict=True)), tuple(range(truth.seeds)))


def print_table(rows: Iterable[Row]) -> bool:
    """Print rows as they come; return whether any misses its target."""
    missed = False
    write(
        "| share of experiments in which … | design | share | target |\n| --- | --- | --: | --- |"
    )
    for row in rows:
        low, high = max(row.low, 0.0), min(row.high, 1.0)
        target = f"{100 * low:.3g}–{100 * high:.3g} %" if high - low < 1 else ""
        missed |= row.missed
        flag = " **missed**" if row.missed else ""
        write(f"| {row.what} | {row.truth} | {100 * row.share:.1f} % | {target}{flag} |")
    return missed


def write(line: str) -> None:
    """Print at once: rows take seconds each."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@functools.cache
def planned(factors: tuple[tuple[str, tuple[str, ...]], ...], seeds: int) -> frame.Results:
    """Return the results of an experiment of which nothing was run."""
    names = [name for name, _ in factors]
    arms = [
        dict(zip(names, levels, strict=True))
        for levels in itertools.product(*(levels for _, levels in factors))
    ]
    trials = [
        PlannedTrial(key=f"{number}-{seed}", arm=arm, label=" · ".join(arm.values()), seed=seed)
        for seed in range(seeds)
        for number, arm in enumerate(arms)
    ]
    plan = Plan(
        name="simulated",
        measure="accuracy",
        metric="mean_iou",
        design="full_factorial",
        factors={name: list(levels) for name, levels in factors},
        baseline={name: levels[0] for name, levels in factors},
        seeds=list(range(seeds)),
        trials=tuple(trials),
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        store.write_plan(plan)
        return loading.load(store)
