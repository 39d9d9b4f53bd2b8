"""Verdicts on all comparisons of an experiment, which are corrected together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bench.analysis.effects.estimates import Estimate, estimates, many_to_one
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import families, power, verdicts
from bench.analysis.stats.verdicts import INCONCLUSIVE
from bench.store.frame import Results


@dataclass(frozen=True)
class Comparison(Estimate):
    """An estimate, and what was decided about it; NaN where nothing could be tested."""

    p_adjusted: float = math.nan  # corrected for all comparisons
    p_equivalent: float = math.nan  # that the difference is within ±δ, corrected; NaN without δ
    detectable: float = math.nan  # smallest true difference detected with 80 % power
    verdict: str = INCONCLUSIVE  # one of those in ``bench.analysis.stats.verdicts``
    reason: str = ""  # why nothing could be tested
    seeds_needed: int | None = None  # if inconclusive, an estimate; None above MOST_SEEDS


def compare(
    results: Results, runs: Runs, *, delta: float | None, higher_is_better: bool
) -> tuple[str, tuple[Comparison, ...]]:
    """Compare with the baseline all that can be compared.

    Where all comparisons are with the baseline's arm and share one error, Dunnett's test
    decides, if every arm has every seed. Otherwise Holm's does. ``runs`` are on the scale of
    comparison, on which differences within ±``delta`` do not matter.

    Returns:
        How p values were corrected, ``dunnett``, ``holm`` or ``none`` (of a single comparison),
        and the comparisons.
    """
    found = estimates(results, runs)
    contrasts = [one.contrast for one in found]
    tested = [one for one in found if one.testable]
    family, complete = len(tested), all(one.model.present.all() for one in tested if one.model)
    method = "dunnett" if many_to_one(results) and complete and family > 1 else "holm"
    adjusted = families.holm([c.p for c in contrasts])
    if method == "dunnett":
        adjusted = [families.dunnett(c.t, family, c.df) if c.df else math.nan for c in contrasts]
    same = [math.nan if delta is None else verdicts.equivalence(c, delta) for c in contrasts]

    def detectable(df: float, error: float) -> float:
        return power.detectable(power.critical_value(method, family, df), df) * error

    def decide(one: Estimate, p: float, p_equivalent: float) -> Comparison:
        if not one.testable:
            return Comparison(**vars(one), reason=_reason(one.seeds, results.measurement.replicate))
        contrast = one.contrast
        verdict = verdicts.verdict(
            contrast.difference, p, p_equivalent, higher_is_better=higher_is_better
        )
        return Comparison(
            **vars(one),
            p_adjusted=p,
            p_equivalent=p_equivalent,
            detectable=detectable(contrast.df, contrast.error),
            verdict=verdict,
            seeds_needed=_seeds_needed(one, delta, detectable) if verdict == INCONCLUSIVE else None,
        )

    decided = tuple(map(decide, found, adjusted, families.holm(same)))
    return method if family > 1 else "none", decided


def _reason(seeds: int, replicate: str) -> str:
    few = ("no", "only one", "too few")[min(seeds, 2)]
    return f"{few} {replicate}{'s' if seeds > 1 else ''} finished in both"


def _seeds_needed(
    one: Estimate, delta: float | None, detectable: Callable[[float, float], float]
) -> int | None:
    """Return how many seeds would detect the observed difference, or δ where that is larger.

    Where these seeds should have detected δ already, what is open is whether the difference is
    nearer to 0 or to δ. ``detectable`` takes degrees of freedom and standard error.
    """
    model = one.model
    if model is None:
        return None

    def with_seeds(seeds: int) -> float:
        error = math.sqrt(2 * model.variance / (one.cells * seeds))
        return detectable((len(model.means) - 1) * (seeds - 1), error)

    target = observed = abs(one.contrast.difference)
    if delta is not None and observed < delta:
        needed = power.seeds_needed(delta, with_seeds)
        if needed is None or needed > one.seeds:
            return needed
        target = max(observed, delta - observed)
    return power.seeds_needed(target, with_seeds, more_than=one.seeds)
