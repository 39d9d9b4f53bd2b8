"""How far every level is from the baseline's, and every arm of ``include`` from its arm."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.effects.runs import Runs
from bench.analysis.stats import blocks, folds, superiority, unpaired
from bench.analysis.stats.blocks import Array, Contrast, Fit
from bench.store.frame import Results

_UNKNOWN = Contrast()
OWN_ERROR_FROM = 8  # seeds: from here on a pair of arms has enough for an error of its own

Pair = tuple[str, str]  # labels of two arms: the baseline's, the other's


@dataclass(frozen=True)
class Estimate:
    """How far one level or arm is from the baseline, on a scale; NaN where unknown."""

    factor: str | None  # None where a whole arm of ``include`` is compared
    level: str  # or the label of the arm
    baseline: str  # the baseline's level, or the label of its arm
    unmatched: int  # finished trials without a partner of the same seed and other settings
    cells: int = 0  # settings of the other factors under which both were measured
    seeds: int = 0  # those that finished in both, under the same settings
    contrast: Contrast = _UNKNOWN  # level - baseline; interval and p of this comparison alone
    differences: tuple[float, ...] = ()  # by seed that has them all, mean over ``cells``
    correlation: float = math.nan  # between runs of one seed under different settings
    probability: float = math.nan  # P(level > baseline) of two runs under the same settings
    probability_interval: tuple[float, float] = (math.nan, math.nan)  # 95 %, of this one alone
    model: Fit | None = None  # what the contrast was estimated with
    overlap: float = 0.0  # of training sets, by which the error is larger, see ``stats.folds``

    @property
    def name(self) -> str:
        """What is compared with the baseline, in words."""
        return self.level if self.factor is None else f"{self.factor} = {self.level}"

    @property
    def testable(self) -> bool:
        """Whether there were enough runs for a test."""
        return not math.isnan(self.contrast.p)

    @property
    def pooled(self) -> bool:
        """Whether arms that are not compared here contribute to the error."""
        return self.model is not None and len(self.model.means) > 2 * self.cells


@dataclass(frozen=True)
class Question:
    """What is compared: two levels, all arms that have one of them, and those to be paired."""

    names: tuple[str | None, str, str]  # factor, level, baseline's level
    arms: tuple[str, ...]
    pairs: tuple[Pair, ...]


def many_to_one(results: Results) -> bool:
    """Tell whether every comparison is one of a single arm with the baseline's arm."""
    return results.plan.design == "one_at_a_time" or len(results.factors) < 2


def estimates(results: Results, runs: Runs, *, own_error: bool = False) -> list[Estimate]:
    """Estimate all that can be compared: levels in the order of the plan, then further arms.

    Each comparison has the error of the trials that it compares. Where all are single arms with
    the baseline's arm, and share few seeds, arms that vary at all share one error. One that does
    not, such as a network that always predicts one class, says nothing about how much others do.
    ``own_error`` gives each its own, however few seeds there are; with ``pairing: none`` each
    comparison is of independent samples.
    """
    questions = list(questions_of(results))
    if results.plan.pairing == "none":
        return [_unpaired(asked, runs) for asked in questions if asked.pairs]
    if own_error or not many_to_one(results):
        return [_estimate(asked, sharing_a_seed(asked.pairs, runs), runs) for asked in questions]
    if results.baseline_arm is None:
        return []
    questions = [asked for asked in questions if asked.pairs]
    arms = dict.fromkeys(label for asked in questions for label in asked.arms)
    pool = varying(runs, [label for label in arms if runs.measured(label)])
    model = blocks.fit(runs.table(pool))

    def pooled(asked: Question) -> bool:
        few = _shared_seeds(asked.pairs, runs) < OWN_ERROR_FROM
        return few and set(asked.arms) <= set(pool)

    return [
        _estimate(asked, asked.pairs, runs, (pool, model))
        if pooled(asked)
        else _estimate(asked, sharing_a_seed(asked.pairs, runs), runs)
        for asked in questions
    ]


def varying(runs: Runs, labels: Sequence[str]) -> list[str]:
    """Return those arms whose scores are not all equal; all arms if there is no such one."""
    spread = [label for label in labels if len(set(runs.finished(label))) > 1]
    return spread or list(labels)


def pairs_of(results: Results, factor: str, level: str) -> Iterator[Pair]:
    """Yield pairs of arms, (baseline's, level's), that differ in nothing but one factor."""

    def others(label: str) -> tuple[str, ...]:
        return tuple(value for name, value in results.arms[label].items() if name != factor)

    by_level = results.by_level(factor)
    partners = {others(label): label for label in by_level[level]}
    for label in by_level[results.baseline[factor]]:
        if others(label) in partners:
            yield label, partners[others(label)]


def sharing_a_seed(pairs: Iterable[Pair], runs: Runs) -> list[Pair]:
    """Return those pairs of which some seed finished in both arms."""
    return [pair for pair in pairs if not np.isnan(runs.table(pair)).any(0).all()]


def _shared_seeds(pairs: Iterable[Pair], runs: Runs) -> int:
    """Return how many seeds finished in both arms of any pair."""
    return max(int((~np.isnan(runs.table(pair)).any(0)).sum()) for pair in pairs)


def questions_of(results: Results) -> Iterator[Question]:
    """Yield what is compared: levels in the order of the plan, then arms of ``include``."""
    baseline, base_arm = results.baseline, results.baseline_arm
    for factor in (factor for factor in results.factors if factor in baseline):
        base, by_level = baseline[factor], results.by_level(factor)
        for level in (level for level in by_level if level != base):
            arms = by_level[base] + by_level[level]
            yield Question((factor, level, base), arms, tuple(pairs_of(results, factor, level)))
    if base_arm is not None:
        grid = set(results.grid)
        for label in (label for label in results.arms if label not in grid):
            pair = base_arm, label
            yield Question((None, label, base_arm), pair, (pair,))


def _estimate(
    asked: Question,
    pairs: Sequence[Pair],
    runs: Runs,
    pool: tuple[Sequence[str], Fit] | None = None,
) -> Estimate:
    """Estimate the mean difference within pairs of arms, with the error of a pool or their own."""
    finished = int((~np.isnan(runs.table(asked.arms))).sum())
    if not pairs:
        return Estimate(*asked.names, finished)
    bases, others = zip(*pairs, strict=True)
    fitted, model = pool or (bases + others, blocks.fit(runs.table(bases + others)))
    below, above = runs.table(bases), runs.table(others)
    shared = ~np.isnan(below) & ~np.isnan(above)
    seeds = int(shared.any(0).sum())
    weights = np.zeros(len(fitted))
    for base, other in pairs:
        weights[fitted.index(base)], weights[fitted.index(other)] = -1.0, 1.0
    contrast = blocks.contrast(model, weights / len(pairs))
    if contrast is None or not contrast.df or seeds < 2:
        contrast = Contrast(float((above - below)[shared].mean()) if seeds else math.nan)
    contrast = folds.of_contrast(contrast, seeds, runs.overlap)
    probability, ends = _superiority(above, below)
    return Estimate(
        *asked.names,
        unmatched=finished - 2 * int(shared.sum()),
        cells=len(pairs),
        seeds=seeds,
        contrast=contrast,
        differences=tuple((above - below)[:, shared.all(0)].mean(0).tolist()),
        correlation=model.correlation,
        probability=probability,
        probability_interval=ends,
        model=model,
        overlap=runs.overlap,
    )


def _unpaired(asked: Question, runs: Runs) -> Estimate:
    """Estimate the mean difference between pairs of arms that share no seed."""
    counts = {label: len(runs.finished(label)) for label in asked.arms}
    pairs = [pair for pair in asked.pairs if all(counts[label] for label in pair)]
    finished = sum(counts.values())
    if not pairs:
        return Estimate(*asked.names, finished)
    bases, others = zip(*pairs, strict=True)
    used = bases + others
    weights = [-1 / len(pairs)] * len(pairs) + [1 / len(pairs)] * len(pairs)
    samples = [np.array(runs.finished(label)) for label in used]
    seeds = min(counts[label] for label in used)
    probability, ends = _superiority(runs.table(others), runs.table(bases))
    return Estimate(
        *asked.names,
        unmatched=finished - sum(counts[label] for label in used),
        cells=len(pairs),
        seeds=seeds,
        contrast=folds.of_contrast(unpaired.contrast(samples, weights), seeds, runs.overlap),
        probability=probability,
        probability_interval=ends,
    )


def _superiority(above: Array, below: Array) -> tuple[float, tuple[float, float]]:
    """Return P(above > below), the mean over rows, of each of which runs are compared with runs."""
    rows = list(zip(above, below, strict=True))
    probability = float(np.mean([superiority.superiority(a, b) for a, b in rows]))
    sizes = [(int((~np.isnan(a)).sum()), int((~np.isnan(b)).sum())) for a, b in rows]
    return probability, superiority.interval(probability, sizes)
