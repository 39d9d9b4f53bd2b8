"""What an experiment shows: every comparison with the baseline, and a verdict on each.

``bench.analysis.analysis`` computes everything once; tables, figures and sentences read it there.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from bench import metrics
from bench.analysis.effects.comparisons import Comparison, compare
from bench.analysis.effects.factorial import Interaction, SimpleEffect, Source, analyse
from bench.analysis.effects.runs import Runs
from bench.analysis.scales import Scale
from bench.analysis.stats.sample import Sample, bartlett
from bench.store.frame import Results

__all__ = ["Comparison", "Effects", "Interaction", "SimpleEffect", "Source", "effects"]


@dataclass(frozen=True)
class Effects:
    """The statistics of an experiment: of comparisons amounts of ``scale``, else in units.

    Attributes:
        comparisons: levels against the baseline in the order of the plan, then arms of
            ``include`` against the baseline's arm.
        correction: how p values are corrected: ``dunnett``, ``holm`` or ``none`` (of a single
            comparison).
        delta: amounts within ±δ do not matter; None where none was declared.
        higher_is_better: whether more of the metric is better.
        scale: what scores are compared by.
        levels: (factor, level) → mean over seeds, each seed the mean over the level's arms.
        arms: label → mean over its seeds.
        anova: the analysis of variance of a full factorial; empty for other designs.
        interactions: every pair of factors of a full factorial.
        simple: effects of a factor at each level of another that it depends on.
        missing: trials without a result, or without the score.
        planned: trials of the plan.
        spreads: standard deviation of the runs of each arm that has one, as they are compared.
        alike: p of the test that these are the same, which Dunnett's test assumes.
    """

    comparisons: tuple[Comparison, ...]
    correction: str
    delta: float | None
    higher_is_better: bool
    scale: Scale
    levels: dict[tuple[str, str], Sample]
    arms: dict[str, Sample]
    anova: tuple[Source, ...]
    interactions: tuple[Interaction, ...]
    simple: tuple[SimpleEffect, ...]
    missing: int
    planned: int
    spreads: tuple[float, ...]
    alike: float

    @property
    def tested(self) -> int:
        """How many comparisons could be tested: the size of the family."""
        return sum(comparison.testable for comparison in self.comparisons)


def effects(results: Results, measured: Runs, scale: Scale) -> Effects:
    """Compute the statistics of an experiment."""
    compared = measured.on(scale)
    higher = metrics.find(results.metric).higher_is_better
    declared = results.plan.get("equivalence")
    delta = None if declared is None else scale.bound(declared)
    correction, comparisons = compare(results, compared, delta=delta, higher_is_better=higher)
    sources, interactions, simple = analyse(results, compared)
    samples = [compared.sample([label]) for label in results.arms]
    return Effects(
        comparisons=comparisons,
        correction=correction,
        delta=delta,
        higher_is_better=higher,
        scale=scale,
        levels=_levels(results, measured),
        arms={label: measured.sample([label]) for label in results.arms},
        anova=sources,
        interactions=interactions,
        simple=simple,
        missing=measured.missing,
        planned=len(results.trials),
        spreads=tuple(sample.sd for sample in samples if sample.n > 1),
        alike=bartlett(samples),
    )


def _levels(results: Results, measured: Runs) -> dict[tuple[str, str], Sample]:
    return {
        (factor, level): measured.sample(labels)
        for factor in results.factors
        for level, labels in results.by_level(factor).items()
    }


def cell_means(
    results: Results, measured: Runs, first: str, second: str
) -> dict[tuple[str, str], Sample]:
    """Return (level of one factor, level of another) → mean over seeds, in a full factorial.

    Of runs on the scale of comparison, lines of them are parallel where the effect of
    one factor does not depend on the other.
    """
    one, other = results.by_level(first), results.by_level(second)
    return {
        (a, b): measured.sample([label for label in one[a] if label in other[b]])
        for a, b in itertools.product(one, other)
    }
