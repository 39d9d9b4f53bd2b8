"""What a report says and shows of how certain the order of the arms is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bench.analysis.analysis import Analysis
from bench.analysis.effects.ranking import IMAGES, Ranking
from bench.report.content.numbers import percent
from bench.report.content.table import Column, Table, of_metric, table


def rank_table(results: Analysis) -> Table:
    """Return a row for each arm, the best mean first: how often it is the best, and its ranks."""
    if not results.rankings:
        return Table()
    arms = results.rankings[0].arms
    means = [results.effects.arms[label].mean for label in arms]
    return table(
        (Column("arm", "arm"), arms),
        (of_metric(results.metric), means),
        *(column for one in results.rankings for column in _columns(results, one)),
    )


def certainty(results: Analysis, arm: str | None) -> str:
    """Return how often an arm is the best, in brackets to stand behind it; empty if unknown."""
    for one in results.rankings[:1]:
        if arm in one.arms:
            share, over = percent(one.first(arm)), _over(results, one)
            return f" (the best in {share} % of {one.draws:,} draws of further {over})"
    return ""


def _columns(results: Analysis, one: Ranking) -> Iterator[tuple[Column, Sequence[Any]]]:
    over = _over(results, one)
    share = Column(f"first_{one.over}", f"best over {over}", "number", _share, "%")
    yield share, [one.first(label) for label in one.arms]
    ranks = Column(f"ranks_{one.over}", f"ranks over {over}", "range")
    yield ranks, [one.ranks(label) for label in one.arms]


def _over(results: Analysis, one: Ranking) -> str:
    return one.over if one.over == IMAGES else f"{results.measurement.replicate}s"


def _share(value: float, _like: float) -> str:
    return percent(value)
