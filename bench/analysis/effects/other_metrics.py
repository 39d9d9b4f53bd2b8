"""The same comparisons by every other metric of a whole trial that was stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench import metrics
from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.runs import Runs, runs
from bench.analysis.scales import Scale, scale_of
from bench.analysis.stats.verdicts import BETTER, WORSE
from bench.store.frame import Results

OPPOSITE = {BETTER: WORSE, WORSE: BETTER}

Decide = Callable[[Runs, bool], tuple[Comparison, ...]]  # (runs, whether higher is better)


@dataclass(frozen=True)
class ByMetric:
    """The comparisons by one metric, corrected among themselves."""

    metric: str
    scale: Scale
    comparisons: tuple[Comparison, ...]
    directed: bool = True  # whether it is known which way the metric gets better


def by_other_metrics(results: Results, decide: Decide) -> tuple[ByMetric, ...]:
    """Compare by the other metrics of trained networks, each as if it were the experiment's.

    Of speeds there are none: what else is stored of a time is that time in other units. No margin
    was declared for them, so none is equivalent. Of a user's own metric it is not stored which way
    it gets better; ``better`` then means higher.
    """
    if not results.measurement.trains:
        return ()
    found = []
    for name in _others(results):
        scale, own = scale_of(results.measurement, name), metrics.is_own(name)
        higher = own or metrics.find(name).higher_is_better
        compared = decide(runs(results, name).on(scale), higher)
        if any(one.testable for one in compared):
            found.append(ByMetric(name, scale, compared, directed=not own))
    return tuple(found)


def opposites(
    compared: tuple[Comparison, ...], others: tuple[ByMetric, ...]
) -> dict[str, list[tuple[ByMetric, Comparison]]]:
    """Return name of a comparison → the metrics by which its verdict is the opposite."""
    found: dict[str, list[tuple[ByMetric, Comparison]]] = {}
    for place, one in enumerate(compared):
        for other in others:
            same = other.comparisons[place]
            if other.directed and OPPOSITE.get(one.verdict) == same.verdict:
                found.setdefault(one.name, []).append((other, same))
    return found


def _others(results: Results) -> Iterator[str]:
    """Yield the metrics, without parts of others such as ``v_rand_split``."""
    for name in results.scores:
        if name != results.metric and (name in metrics.METRICS or metrics.is_own(name)):
            yield name
