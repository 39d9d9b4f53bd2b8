"""Verdicts at looks that were declared before anything was measured, arm by arm.

What was decided is a function of the scores there are, so that a run that was stopped, one beside
it, and a report of what they left come to the same verdicts and the same trials.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.analysis.effects.comparisons import Comparison, interval
from bench.analysis.effects.estimates import Estimate, estimates, many_to_one, questions_of
from bench.analysis.effects.looks import information
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import sequential, verdicts
from bench.analysis.stats.blocks import Contrast, ratio
from bench.analysis.stats.sample import ALPHA
from bench.analysis.stats.sequential import Look
from bench.analysis.stats.verdicts import INCONCLUSIVE
from bench.store.frame import NOT_RUN, Results

_TOO_WIDE = 50  # standard errors: an interval that is wider on each side is not shown


@dataclass(frozen=True)
class Followed:
    """One comparison, up to its last look."""

    estimate: Estimate  # at that look; before the first, of what there is
    looks: tuple[Look, ...] = ()  # those that could test anything
    seeds: int = 0  # planned at the last look; 0 before the first
    verdict: str = INCONCLUSIVE  # any other one ended it
    nothing: bool = False  # no seed finished in both, which ended it too
    tests: int = 1  # how many open comparisons α was divided among when it was last tested
    tests_equivalent: int = 1

    @property
    def open(self) -> bool:
        """Whether another look may decide it."""
        return self.verdict == INCONCLUSIVE and not self.nothing


@dataclass(frozen=True)
class Series:
    """What has been decided at declared looks, and what is measured for the next one."""

    at: tuple[int, ...]  # numbers of seeds of the looks, rising
    followed: tuple[Followed, ...]  # of each comparison that the design allows
    planned: Mapping[str, int]  # arm → with how many of the first seeds it is measured
    delta: float | None
    replicate: str

    @property
    def seeds(self) -> int:
        """With how many seeds the last look took place; 0 before the first."""
        return max((one.seeds for one in self.followed), default=0)

    @property
    def look(self) -> int:
        """The number of the last look that took place, from 1 on; 0 before the first."""
        return sum(seeds <= self.seeds for seeds in self.at)

    def number(self, one: Followed) -> int:
        """Return the number of the last look at a comparison; 0 before the first."""
        return sum(seeds <= one.seeds for seeds in self.at)

    @property
    def spared(self) -> int:
        """How many of the trials that there may be at most were not needed."""
        return sum(self.at[-1] - n for n in self.planned.values())

    @property
    def following(self) -> int:
        """With how many seeds the next look takes place; after the end, the last did."""
        return max(self.planned.values(), default=0)

    @property
    def over(self) -> bool:
        """Whether there is nothing to be decided by a further look."""
        return not any(one.open and one.seeds < self.at[-1] for one in self.followed)

    @property
    def more(self) -> int:
        """How many trials the looks after the planned one may add at most."""
        going_on = [n for n in self.planned.values() if n == self.following and not self.over]
        return sum(self.at[-1] - n for n in going_on)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Each comparison as of its last look, with intervals that agree with the verdict."""
        return tuple(_comparison(one, self) for one in self.followed)

    @property
    def correction(self) -> str:
        """``holm``, or ``none`` of a single comparison."""
        return "holm" if len(self.followed) > 1 else "none"


def measured(results: Results) -> dict[str, int]:
    """Return arm → with how many of the first seeds it was measured, failures included."""
    trials = results.trials[results.trials["status"] != NOT_RUN]
    known = set(zip(trials["arm"], trials["seed"], strict=True))
    found = {}
    for label in results.arms:
        ended = [(label, seed) in known for seed in results.plan.seeds]
        found[label] = ended.index(False) if False in ended else len(ended)
    return found


def follow(
    results: Results,
    runs: Runs,
    available: Mapping[str, int],
    *,
    at: tuple[int, ...],
    delta: float | None,
    higher_is_better: bool,
) -> Series:
    """Decide each comparison at the first of the looks ``at`` that can, with α spent as declared.

    A look at a comparison takes place once all arms that it needs are ``available`` with as many
    seeds. Every comparison has its own error, at all looks alike. Among several, α is divided
    as by Holm's method: what one that is decided no longer needs goes to those that are open
    (Maurer and Bretz 2013, for group-sequential tests). α for equivalence is spent alike.
    """
    possible = [(i, one) for i, one in enumerate(questions_of(results)) if one.pairs]
    needs = [tuple(dict.fromkeys(itertools.chain(*one.pairs))) for _, one in possible]
    now = estimates(results, runs, own_error=True)
    found = [Followed(now[i]) for i, _ in possible]
    family = {"difference": len(found), "equivalence": len(found)}

    def differs(one: Followed) -> Followed:
        t, k = one.estimate.contrast.t, family["difference"]
        reached = _reached(abs(t), sequential.bound(one.looks, ALPHA / k))
        verdict = verdicts.verdict(
            one.estimate.contrast.difference,
            0.0 if reached else 1.0,
            higher_is_better=higher_is_better,
        )
        return dataclasses.replace(one, tests=k, verdict=verdict)

    def same(one: Followed) -> Followed:
        k = family["equivalence"]
        needed = sequential.bound(one.looks, ALPHA / k, sides=1)
        reached = _reached(_inside(one.estimate.contrast, delta), needed)
        verdict = verdicts.EQUIVALENT if reached else INCONCLUSIVE
        return dataclasses.replace(one, tests_equivalent=k, verdict=verdict)

    for seeds in at:
        ready = []
        due = _due(found, needs, available, seeds)
        part = estimates(results, _first(results, runs, seeds), own_error=True) if due else []
        for i in due:
            found[i], tested = _looked(found[i], part[possible[i][0]], seeds, at[-1])
            ready += [i] * tested
        if delta is not None:
            _decide(found, ready, family, "equivalence", same)
        _decide(found, ready, family, "difference", differs)
    planned = _planned(results, list(zip(found, needs, strict=True)), at)
    return Series(at, tuple(found), planned, delta, results.measurement.replicate)


def _due(
    found: Sequence[Followed],
    needs: Sequence[Sequence[str]],
    available: Mapping[str, int],
    seeds: int,
) -> list[int]:
    """Return the places of the comparisons that are open, and measured with so many seeds."""
    return [
        i
        for i, (one, arms) in enumerate(zip(found, needs, strict=True))
        if one.open and min(available[arm] for arm in arms) >= seeds
    ]


def _first(results: Results, runs: Runs, seeds: int) -> Runs:
    """Return the runs with the first of the planned seeds."""
    kept = np.isin(runs.seeds, results.plan.seeds[:seeds])
    part = {arm: np.where(kept, row, np.nan) for arm, row in runs.scores.items()}
    return dataclasses.replace(runs, scores=part)


def _looked(one: Followed, now: Estimate, seeds: int, most: int) -> tuple[Followed, bool]:
    """Return a comparison after another look; and whether that can test more than the last."""
    if not now.testable:
        return dataclasses.replace(one, estimate=now, seeds=seeds, nothing=now.seeds == 0), False
    # Rounded, since bounds are computed once for all that have the same looks.
    look = Look(seeds / most, float(f"{information(now):.9g}"), int(now.contrast.df))
    if one.looks:
        last = one.looks[-1]
        if look.df <= last.df or look.information <= last.information:
            return dataclasses.replace(one, seeds=seeds), False
    return dataclasses.replace(one, estimate=now, seeds=seeds, looks=(*one.looks, look)), True


def _decide(
    found: list[Followed],
    ready: Sequence[int],
    family: dict[str, int],
    test: str,
    decide: Callable[[Followed], Followed],
) -> None:
    """Test until nothing more is decided: each decision leaves more α to the others."""
    again = True
    while again:
        again = False
        for i in ready:
            if found[i].open:
                found[i] = decide(found[i])
                if not found[i].open:
                    family[test] -= 1
                    again = True


def _reached(t: float, needed: float) -> bool:
    return math.isfinite(needed) and t >= needed


def _inside(contrast: Contrast, delta: float | None) -> float:
    """Return how far a difference is from the nearer of ±δ, in standard errors."""
    return math.nan if delta is None else ratio(delta - abs(contrast.difference), contrast.error)


def _planned(
    results: Results,
    followed: Sequence[tuple[Followed, tuple[str, ...]]],
    at: Sequence[int],
) -> dict[str, int]:
    """Return how many seeds each arm is measured with: those of the next look it is needed for.

    Arms of a factorial go on together, since a comparison of levels averages over arms.
    """
    found = dict.fromkeys(results.arms, at[0])
    for one, arms in followed:
        later = [seeds for seeds in at if seeds > one.seeds]
        wanted = later[0] if one.open and later else one.seeds
        for arm in arms:
            found[arm] = max(found[arm], wanted)
    if many_to_one(results):
        return found
    return dict.fromkeys(found, max(found.values(), default=0))


def _comparison(one: Followed, series: Series) -> Comparison:
    """Return what a comparison has come to, at its last look."""
    now, looks = one.estimate, one.looks
    if not looks:
        few = f"too few {series.replicate}s finished in both"
        reason = few if one.seeds else f"the first look is at {series.at[0]} {series.replicate}s"
        untested = Contrast(now.contrast.difference)
        return Comparison(
            **{**vars(now), "contrast": untested}, reason=reason, look=series.number(one)
        )
    contrast, alpha = now.contrast, ALPHA / len(series.followed)
    own = sequential.repeated_p(contrast.t, looks)
    differs = one.verdict in (verdicts.BETTER, verdicts.WORSE)
    needed = sequential.bound(looks, alpha)
    known = math.isfinite(needed) and (differs or needed <= _TOO_WIDE)
    low, high = interval(contrast, needed if known else math.nan, 0.0 if differs else 1.0)
    p, p_equivalent = min(1.0, one.tests * own), math.nan
    if one.verdict != verdicts.EQUIVALENT:
        p = _agreeing(p, reached=differs)
    if series.delta is not None:
        found = sequential.repeated_p(_inside(contrast, series.delta), looks, sides=1)
        equivalent = one.verdict == verdicts.EQUIVALENT
        p_equivalent = _agreeing(min(1.0, one.tests_equivalent * found), reached=equivalent)
    return Comparison(
        **{**vars(now), "contrast": dataclasses.replace(contrast, p=own)},
        p_adjusted=p,
        low=low,
        high=high,
        p_equivalent=p_equivalent,
        verdict=one.verdict,
        look=series.number(one),
    )


def _agreeing(p: float, *, reached: bool) -> float:
    """Return p on the side of α on which its bound was: both are computed, to some digits."""
    return min(p, ALPHA) if reached else max(p, math.nextafter(ALPHA, 1))
