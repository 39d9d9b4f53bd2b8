"""Verdicts on all comparisons of an experiment, which are corrected together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.effects.estimates import Estimate, estimates
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import families, power, verdicts
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.sample import ALPHA
from bench.analysis.stats.verdicts import INCONCLUSIVE
from bench.store.frame import Results


@dataclass(frozen=True)
class Comparison(Estimate):
    """An estimate, and what was decided about it; NaN where nothing could be tested."""

    p_adjusted: float = math.nan  # corrected for all comparisons
    low: float = math.nan  # ends of the 95 % interval that holds for all comparisons at once
    high: float = math.nan
    p_equivalent: float = math.nan  # that the difference is within ±δ, corrected; NaN without δ
    detectable: float = math.nan  # smallest true difference detected with 80 % power
    verdict: str = INCONCLUSIVE  # one of those in ``bench.analysis.stats.verdicts``
    reason: str = ""  # why nothing could be tested
    look: int = 0  # which of the declared looks, from 1 on; 0 where none were declared

    @property
    def only_direction(self) -> bool:
        """Whether the interval has an end of 0, and shows the sign of the difference alone."""
        return (self.low == 0) != (self.high == 0)


def compare(
    results: Results, runs: Runs, *, delta: float | None, higher_is_better: bool
) -> tuple[str, tuple[Comparison, ...]]:
    """Compare with the baseline all that can be compared.

    Where all comparisons are with the baseline's arm and share one error, Dunnett's step-down
    test decides, if every arm has every seed. Otherwise Holm's does. ``runs`` are on the scale
    of comparison, on which differences within ±``delta`` do not matter.

    Returns:
        How p values were corrected, ``dunnett``, ``holm`` or ``none`` (of a single comparison),
        and the comparisons.
    """
    found = estimates(results, runs)
    contrasts = [one.contrast for one in found]
    family, method = sum(one.testable for one in found), _method(found)
    adjusted = _adjusted(method, contrasts)
    same = [math.nan if delta is None else verdicts.equivalence(c, delta) for c in contrasts]

    def decide(one: Estimate, p: float, p_equivalent: float) -> Comparison:
        if not one.testable:
            return Comparison(**vars(one), reason=_reason(one.seeds, results.measurement.replicate))
        contrast = one.contrast
        critical = power.critical_value(method, family, contrast.df)
        low, high = interval(contrast, critical, p)
        verdict = verdicts.verdict(
            contrast.difference, p, p_equivalent, higher_is_better=higher_is_better
        )
        return Comparison(
            **vars(one),
            p_adjusted=p,
            low=low,
            high=high,
            p_equivalent=p_equivalent,
            detectable=power.detectable(critical, contrast.df) * contrast.error,
            verdict=verdict,
        )

    decided = tuple(map(decide, found, adjusted, families.holm(same)))
    return method if family > 1 else "none", decided


def _method(found: Sequence[Estimate]) -> str:
    """Return ``dunnett`` where several complete comparisons share one error, otherwise ``holm``."""
    models = {id(one.model): one.model for one in found if one.testable}
    (first,) = models.values() if len(models) == 1 else (None,)
    several = sum(one.testable for one in found) > 1
    return "dunnett" if several and first is not None and first.present.all() else "holm"


def _adjusted(method: str, contrasts: Sequence[Contrast]) -> list[float]:
    """Return p corrected for all comparisons; NaN where nothing could be tested."""
    if method == "holm":
        return families.holm([contrast.p for contrast in contrasts])
    tested = [i for i, contrast in enumerate(contrasts) if contrast.df]
    steps = families.step_down_dunnett([contrasts[i].t for i in tested], contrasts[tested[0]].df)
    adjusted = dict(zip(tested, steps, strict=True))
    return [adjusted.get(i, math.nan) for i in range(len(contrasts))]


def interval(contrast: Contrast, critical: float, p: float) -> tuple[float, float]:
    """Return the simultaneous interval, which excludes 0 where the difference is significant.

    The ends are those of the single-step test. What only a later step finds significant has an
    end of 0, as the step shows the sign of the difference, and no distance from 0.
    """
    half = critical * contrast.error
    low, high = contrast.difference - half, contrast.difference + half
    if p <= ALPHA and low < 0 < high:
        return (0.0, high) if contrast.difference > 0 else (low, 0.0)
    return low, high


def _reason(seeds: int, replicate: str) -> str:
    few = ("no", "only one", "too few")[min(seeds, 2)]
    return f"{few} {replicate}{'s' if seeds > 1 else ''} finished in both"
