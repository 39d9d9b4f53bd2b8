"""What other numbers of seeds would show, and which differences look larger than they are."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.estimates import OWN_ERROR_FROM
from bench.analysis.effects.looks import information
from bench.analysis.stats import e_process, power
from bench.analysis.stats.assurance import Design, Needed, seeds_that_decide, spread_range
from bench.analysis.stats.exaggeration import exaggeration
from bench.analysis.stats.folds import widening
from bench.analysis.stats.sample import ALPHA, t_quantile
from bench.analysis.stats.verdicts import BETTER, INCONCLUSIVE, WORSE

FEW_SEEDS = 1.25  # with few, what is found is at least so many times too large on average


@dataclass(frozen=True)
class Planning:
    """What to expect of a comparison; NaN where unknown."""

    detectable: tuple[float, float]  # 90 % range, over what is known of the spread
    seeds: Needed | None  # that decide ±δ; None if unknown, decided, or no δ was declared
    spread: float  # standard deviation between runs; where arms share seeds, beyond the seed's part
    exaggeration: float  # how many times too large a difference of ``spread`` is, where it is found
    exaggerated: bool  # whether the difference was found and is probably smaller


def planning(
    found: Iterable[Comparison],
    *,
    correction: str,
    delta: float | None,
    any_time: bool,
    spoilt: Collection[str] = (),
) -> dict[str, Planning]:
    """Return what to expect of each comparison that could be tested, by its name.

    ``any_time`` says that verdicts are those of an undeclared series of looks. Of ``spoilt`` ones
    no number of seeds is known: where a run did not train, runs have no normal spread.
    """
    tested = [one for one in found if one.testable]
    family = len(tested)

    def plan(one: Comparison) -> Planning:
        df, sd = one.contrast.df, _spread(one)
        low, high = (times * one.detectable for times in spread_range(df))

        def designed(seeds: int) -> Design:
            pooled = one.pooled and seeds < OWN_ERROR_FROM
            own = _df(one, seeds, pooled=pooled)
            error = math.sqrt(2 / (one.cells * seeds)) * widening(seeds, one.overlap)
            if any_time:
                needed = e_process.critical_value(own, 1 / error**2, ALPHA / family)
                return Design(error, own, needed, needed)
            critical = power.critical_value(correction if pooled else "holm", family, own)
            return Design(error, own, critical, t_quantile(own, 2 * ALPHA / family))

        seeds, times = None, math.nan
        refused = one.reason or one.name in spoilt
        if delta is not None and one.verdict == INCONCLUSIVE and not refused:
            switch = OWN_ERROR_FROM if one.pooled else 2
            seeds = seeds_that_decide(delta, designed, sd, df, switch=switch)
        if one.verdict in (BETTER, WORSE) and sd > 0:
            critical = _critical(one, correction, family, any_time=any_time)
            times = exaggeration(sd / one.contrast.error, critical, df)
        small = not abs(one.contrast.difference) >= high
        return Planning((low, high), seeds, sd, times, small and times >= FEW_SEEDS)

    return {one.name: plan(one) for one in tested}


def _df(one: Comparison, seeds: int, *, pooled: bool) -> int:
    """Return the degrees of freedom of an error with some number of seeds."""
    if one.model is None:  # arms share no seeds
        return max(1, int(one.contrast.df * (seeds - 1) / (one.seeds - 1)))
    return (len(one.model.means) - 1 if pooled else 2 * one.cells - 1) * (seeds - 1)


def _spread(one: Comparison) -> float:
    """Return the standard deviation between runs that a comparison has its error from."""
    if one.model is not None:
        return math.sqrt(one.model.variance)
    error = one.contrast.error / widening(one.seeds, one.overlap)
    return error * math.sqrt(one.cells * one.seeds / 2)


def _critical(one: Comparison, correction: str, family: int, *, any_time: bool) -> float:
    """Return how many standard errors a difference had to exceed to be better or worse."""
    df = one.contrast.df
    if any_time:
        return e_process.critical_value(df, information(one), ALPHA / family)
    return power.critical_value(correction, family, df)
