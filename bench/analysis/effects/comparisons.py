"""Every level against the baseline's, and every arm of ``include`` against the baseline's arm."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects.runs import Runs
from bench.analysis.stats import blocks, families, power, verdicts
from bench.analysis.stats.blocks import Contrast, Fit
from bench.analysis.stats.verdicts import INCONCLUSIVE
from bench.store.frame import Results

_UNKNOWN = Contrast(math.nan, math.nan, 0, math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Comparison:
    """One level or arm against the baseline, in amounts of a scale; NaN where unknown.

    Attributes:
        factor: what is compared; None where it is a whole arm of ``include``.
        level: the level, or the label of the arm.
        baseline: the baseline's level, or the label of its arm.
        cells: settings of the other factors under which both were measured.
        seeds: those that finished in both, under the same settings.
        unmatched: finished trials that have no partner of the same seed and other settings.
        contrast: level - baseline, with the interval and p of this comparison alone.
        differences: of each seed that has them all, the mean over ``cells``.
        correlation: between runs of one seed under different settings.
        probability: P(level > baseline) of two runs under the same settings.
        p_adjusted: corrected for all comparisons.
        p_equivalent: of the test that the difference is within ±δ, corrected; NaN without δ.
        detectable: the true difference that this design sees with 80 % power.
        verdict: ``better``, ``worse``, ``equivalent`` or ``inconclusive``.
        reason: why nothing could be tested; otherwise empty.
        seeds_needed: how many would decide an inconclusive one; None if it is decided or more
            than ``bench.analysis.stats.power.MOST_SEEDS`` are needed.
    """

    factor: str | None
    level: str
    baseline: str
    cells: int
    seeds: int
    unmatched: int
    contrast: Contrast
    differences: tuple[float, ...]
    correlation: float
    probability: float
    p_adjusted: float = math.nan
    p_equivalent: float = math.nan
    detectable: float = math.nan
    verdict: str = INCONCLUSIVE
    reason: str = ""
    seeds_needed: int | None = None

    @property
    def name(self) -> str:
        """What is compared with the baseline, in words."""
        return self.level if self.factor is None else f"{self.factor} = {self.level}"

    @property
    def testable(self) -> bool:
        """Whether there were runs enough for a test."""
        return not math.isnan(self.contrast.p)


@dataclass(frozen=True)
class _Model:
    """What a comparison is estimated with."""

    fit: Fit
    rows: int  # conditions in the fit
    cells: int  # pairs of them that the difference is the mean of


@dataclass(frozen=True)
class _Rules:
    """What decides."""

    method: str
    family: int
    delta: float | None
    higher_is_better: bool


def compare(
    results: Results, runs: Runs, *, delta: float | None, higher_is_better: bool
) -> tuple[str, tuple[Comparison, ...]]:
    """Compare with the baseline all that can be compared.

    Where every comparison is one of an arm with the baseline's arm, all arms share one error
    and Dunnett's test decides; it needs every arm to have every seed, and Holm's takes its
    place otherwise. In a factorial design each comparison has the error of the trials that it
    compares, and Holm's test decides.

    Returns:
        How p values were corrected, and the comparisons.
    """
    many_to_one = results.plan["design"] == "one_at_a_time" or len(results.factors) < 2
    found = list(_many_to_one(results, runs) if many_to_one else _factorial(results, runs))
    tested = [(one, model) for one, model in found if model is not None and one.testable]
    complete = all(model.fit.present.all() for _, model in tested)
    method = "dunnett" if many_to_one and complete and len(tested) > 1 else "holm"
    rules = _Rules(method, len(tested), delta, higher_is_better)
    contrasts = [one.contrast for one, _ in tested]
    if method == "dunnett":
        adjusted = [families.dunnett(c.t, rules.family, c.df) for c in contrasts]
    else:
        adjusted = families.holm([c.p for c in contrasts])
    same = [math.nan if delta is None else verdicts.equivalence(c, delta) for c in contrasts]
    decided = iter(
        _decided(dataclasses.replace(one, p_adjusted=p, p_equivalent=q), model, rules)
        for (one, model), p, q in zip(tested, adjusted, families.holm(same), strict=True)
    )
    replicate = results.measurement.replicate
    comparisons = tuple(
        next(decided) if one.testable else _untested(one, replicate) for one, _ in found
    )
    return method if len(tested) > 1 else "none", comparisons


def matched(results: Results, runs: Runs, factor: str, level: str) -> list[tuple[str, str]]:
    """Return pairs of arms, (baseline's, level's), that differ in one factor and share a seed."""
    by_level = results.by_level(factor)
    here = {_others(results, label, factor): label for label in by_level[level]}
    pairs = [
        (label, here[others])
        for label in by_level[results.baseline[factor]]
        if (others := _others(results, label, factor)) in here
    ]
    return [pair for pair in pairs if not np.isnan(runs.table(pair)).any(0).all()]


def _others(results: Results, label: str, factor: str) -> tuple[str, ...]:
    return tuple(level for name, level in results.arms[label].items() if name != factor)


def _factorial(results: Results, runs: Runs) -> Iterator[tuple[Comparison, _Model | None]]:
    for factor, levels in results.factors.items():
        base = results.baseline.get(factor)
        if base is None:
            continue
        for level in (level for level in levels if level != base):
            pairs = matched(results, runs, factor, level)
            by_level = results.by_level(factor)
            finished = runs.table((*by_level[base], *by_level[level]))
            empty = _empty(factor, level, base, finished)
            yield _of_pairs(empty, runs, pairs) if pairs else (empty, None)
    if results.baseline_arm is not None:
        for label in _further(results):
            base = results.baseline_arm
            empty = _empty(None, label, base, runs.table((base, label)))
            shared = not np.isnan(runs.table((base, label))).any(0).all()
            yield _of_pairs(empty, runs, [(base, label)]) if shared else (empty, None)


def _many_to_one(results: Results, runs: Runs) -> Iterator[tuple[Comparison, _Model | None]]:
    base = results.baseline_arm
    if base is None:
        return
    arms: list[tuple[str | None, str, str]] = [
        (factor, level, label)
        for factor in results.factors
        for level, labels in results.by_level(factor).items()
        for label in labels
        if label != base
    ]
    arms += [(None, label, label) for label in _further(results)]
    fitted = [base, *(label for *_, label in arms)]
    fitted = [label for label in dict.fromkeys(fitted) if runs.measured(label)]
    fit = blocks.fit(runs.table(fitted))
    for factor, level, label in arms:
        control = base if factor is None else results.baseline[factor]
        empty = _empty(factor, level, control, runs.table((base, label)))
        if base not in fitted or label not in fitted:
            yield empty, None
            continue
        weights = np.zeros(len(fitted))
        weights[fitted.index(base)], weights[fitted.index(label)] = -1.0, 1.0
        model = _Model(fit, len(fitted), 1)
        yield _estimated(empty, model, weights, runs.table([base]), runs.table([label]))


def _further(results: Results) -> list[str]:
    grid = set(results.grid)
    return [label for label in results.arms if label not in grid]


def _empty(factor: str | None, level: str, base: str, finished: NDArray[np.float64]) -> Comparison:
    """Return a comparison of which nothing is known yet."""
    count = int((~np.isnan(finished)).sum())
    return Comparison(factor, level, base, 0, 0, count, _UNKNOWN, (), math.nan, math.nan)


def _of_pairs(
    empty: Comparison, runs: Runs, pairs: Sequence[tuple[str, str]]
) -> tuple[Comparison, _Model]:
    """Compare within pairs of arms, (baseline's, level's), with the error of their trials."""
    below, above = (runs.table(labels) for labels in zip(*pairs, strict=True))
    fit = blocks.fit(np.vstack([below, above]))
    weights = np.repeat([-1.0, 1.0], len(pairs)) / len(pairs)
    return _estimated(empty, _Model(fit, 2 * len(pairs), len(pairs)), weights, below, above)


def _estimated(
    empty: Comparison,
    model: _Model,
    weights: NDArray[np.float64],
    below: NDArray[np.float64],
    above: NDArray[np.float64],
) -> tuple[Comparison, _Model]:
    """Fill in what is estimated: (C, S) scores at the baseline, and at the level."""
    shared = ~np.isnan(below) & ~np.isnan(above)
    seeds = int(shared.any(0).sum())
    contrast = blocks.contrast(model.fit, weights)
    if contrast is None or not contrast.df or seeds < 2:
        difference = float((above - below)[shared].mean()) if seeds else math.nan
        contrast = dataclasses.replace(_UNKNOWN, difference=difference)
    pairs = zip(above, below, strict=True)
    return dataclasses.replace(
        empty,
        cells=len(below),
        seeds=seeds,
        unmatched=empty.unmatched - 2 * int(shared.sum()),
        contrast=contrast,
        differences=tuple((above - below)[:, shared.all(0)].mean(0).tolist()),
        correlation=model.fit.correlation,
        probability=float(np.mean([blocks.superiority(a, b) for a, b in pairs])),
    ), model


def _untested(one: Comparison, replicate: str) -> Comparison:
    """Say why there was no test."""
    few = ("no", "only one", "too few")[min(one.seeds, 2)]
    noun = f"{replicate}s" if one.seeds > 1 else replicate
    return dataclasses.replace(one, reason=f"{few} {noun} finished in both")


def _decided(one: Comparison, model: _Model, rules: _Rules) -> Comparison:
    """Give a comparison its verdict, and say what the design could and could not see."""

    def detectable(seeds: int) -> float:
        df = (model.rows - 1) * (seeds - 1)
        critical = power.critical_value(rules.method, rules.family, df)
        error = math.sqrt(2 * model.fit.variance / (model.cells * seeds))
        return power.detectable(critical, df) * error

    contrast = one.contrast
    critical = power.critical_value(rules.method, rules.family, contrast.df)
    verdict = verdicts.verdict(
        contrast.difference,
        one.p_adjusted,
        one.p_equivalent,
        higher_is_better=rules.higher_is_better,
    )
    undecided = verdict == INCONCLUSIVE
    return dataclasses.replace(
        one,
        detectable=power.detectable(critical, contrast.df) * contrast.error,
        verdict=verdict,
        seeds_needed=_seeds_needed(one, rules.delta, detectable) if undecided else None,
    )


def _seeds_needed(
    one: Comparison, delta: float | None, detectable: Callable[[int], float]
) -> int | None:
    """Return how many seeds would see the observed difference, or δ where that is larger.

    Where these seeds should have seen δ already, what is open is whether the difference is
    nearer to 0 or to δ.
    """
    target = observed = abs(one.contrast.difference)
    if delta is not None and observed < delta:
        needed = power.seeds_needed(delta, detectable)
        if needed is None or needed > one.seeds:
            return needed
        target = max(observed, delta - observed)
    return power.seeds_needed(target, detectable, more_than=one.seeds)
