"""Whether a verdict on tuned arms holds also where all arms have the same values of settings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.estimates import Pair, pairs_of
from bench.analysis.effects.runs import Runs
from bench.analysis.effects.tuning import Search, Values
from bench.analysis.stats import blocks, folds, verdicts
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.sample import ALPHA
from bench.analysis.stats.verdicts import BETTER, INCONCLUSIVE, WORSE
from bench.store.frame import Results

EVERYWHERE, ONLY_TUNED, FLIPS, EDGE, UNDECIDED = "everywhere", "tuned", "flips", "edge", "undecided"
DEFAULT, TUNED = "default", "tuned"
_UNKNOWN = Contrast()


@dataclass(frozen=True)
class Place:
    """A comparison where arms have certain values: the default, the tuned, or the same ones."""

    where: Values | str  # ``DEFAULT``, ``TUNED``, or values that all arms share
    verdict: str = INCONCLUSIVE
    contrast: Contrast = _UNKNOWN  # its interval is that of the verdict
    flips: str = INCONCLUSIVE  # the verdict that still holds if all places are tested together
    failed: tuple[int, int] = (0, 0)  # runs without a result: of the baseline's arms, the others


@dataclass(frozen=True)
class Conclusion:
    """One comparison with the baseline, at all values at which it was measured."""

    name: str
    kind: str  # EVERYWHERE, ONLY_TUNED, FLIPS, EDGE or UNDECIDED
    tuned: Place
    default: Place
    common: tuple[Place, ...]  # rising

    @property
    def places(self) -> tuple[Place, ...]:
        """All of them."""
        return self.tuned, self.default, *self.common


def conclusions(
    results: Results,
    tuned: Sequence[Comparison],
    default: Sequence[Comparison],
    common: Mapping[Values, Runs],
    searches: Sequence[Search],
    *,
    delta: float | None,
) -> tuple[Conclusion, ...]:
    """Say of each comparison of tuned arms where else it holds.

    ``common`` has the runs of tuning by their values, on the scale of comparison. See
    ``docs/statistics.md`` for what each kind of conclusion takes.
    """
    untuned = {one.name: one for one in default}
    edges = {one.arm for one in searches if one.at_edge}
    tested = max(1, sum(one.testable for one in tuned))
    found = []
    for one in tuned:
        pairs = _pairs(results, one)
        at_tuned = _measured(TUNED, one, results)
        at_default = _measured(DEFAULT, untuned[one.name], results) if one.name in untuned else None
        at_default = at_default or Place(DEFAULT)
        shared = tuple(_common(results, pairs, common, delta, tested))
        edge = bool(edges & {arm for pair in pairs for arm in pair})
        kind = _kind(at_tuned, at_default, shared, edge=edge)
        found.append(Conclusion(one.name, kind, at_tuned, at_default, shared))
    return tuple(found)


def _kind(tuned: Place, default: Place, common: Sequence[Place], *, edge: bool) -> str:
    together = {place.flips for place in (tuned, default, *common)}
    if {BETTER, WORSE} <= together:
        return FLIPS
    if edge:
        return EDGE
    if tuned.verdict == INCONCLUSIVE:
        return UNDECIDED
    complete = [place for place in common if not any(place.failed)]
    same = [place.verdict == tuned.verdict for place in (default, *complete)]
    spoilt = any(_against(place, tuned.verdict) for place in common)
    if all(same) and len(complete) > 1 and not spoilt:
        return EVERYWHERE
    return UNDECIDED if any(same) else ONLY_TUNED


def _against(place: Place, verdict: str) -> bool:
    """Tell whether more runs failed of those arms that a verdict calls better, or not worse."""
    base, other = place.failed
    return {BETTER: other > base, WORSE: base > other}.get(verdict, other != base)


def _measured(where: str, one: Comparison, results: Results) -> Place:
    """Return what was decided about arms that were trained with the reported seeds.

    For a flip there are two such places, and each may use half of what both may err together.
    """
    strict = one.verdict if one.p_adjusted <= ALPHA / 2 else INCONCLUSIVE
    contrast = replace(one.contrast, low=one.low, high=one.high)
    return Place(where, one.verdict, contrast, strict)


def _common(
    results: Results,
    pairs: Sequence[Pair],
    runs: Mapping[Values, Runs],
    delta: float | None,
    tested: int,
) -> Iterator[Place]:
    """Yield a comparison at each of the common values: with the error of all, or its own if larger.

    It is estimated where all runs have a result. The others could only be called the worst, which
    no normal error describes.
    """
    if not pairs:
        return
    arms = [arm for column in zip(*pairs, strict=True) for arm in column]
    tables = {values: one.table(arms) for values, one in runs.items()}
    complete = [values for values, table in tables.items() if not np.isnan(table).any()]
    model = blocks.fit(np.concatenate([tables[v] for v in complete])) if complete else None
    for values, table in tables.items():
        half = len(pairs)
        failed = int(np.isnan(table[:half]).sum()), int(np.isnan(table[half:]).sum())
        if model is None or values not in complete:
            yield Place(values, failed=failed)
            continue
        weights = np.zeros((len(complete), len(arms)))
        weights[complete.index(values)] = np.repeat([-1 / half, 1 / half], half)
        contrast = blocks.contrast(model, weights.ravel()) or _UNKNOWN
        contrast = _noisier(contrast, blocks.fit(table).variance, model.variance)
        contrast = folds.of_contrast(contrast, table.shape[1], runs[values].overlap)
        place = _decided(Place(values, contrast=contrast), results, delta)
        strict = contrast.p * tested * len(complete) <= ALPHA
        yield replace(place, flips=place.verdict if strict else INCONCLUSIVE)


def _noisier(contrast: Contrast, own: float, pooled: float) -> Contrast:
    """Return a contrast with the variance of its own runs, if that is the larger one."""
    if not own > pooled > 0 or not contrast.df:
        return contrast
    error = contrast.error * math.sqrt(own / pooled)
    return blocks.tested(contrast.difference, error, contrast.df)


def _decided(place: Place, results: Results, delta: float | None) -> Place:
    contrast = place.contrast
    within = math.nan if delta is None else verdicts.equivalence(contrast, delta)
    higher = results.plan.higher_is_better
    found = verdicts.verdict(contrast.difference, contrast.p, within, higher_is_better=higher)
    return replace(place, verdict=found)


def _pairs(results: Results, one: Comparison) -> list[Pair]:
    if one.factor is not None:
        return list(pairs_of(results, one.factor, one.level))
    return [] if results.baseline_arm is None else [(results.baseline_arm, one.level)]
