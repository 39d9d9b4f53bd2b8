"""What a report says and shows of comparisons by other metrics than the experiment's."""

from __future__ import annotations

import math

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.other_metrics import ByMetric, opposites
from bench.analysis.stats.verdicts import BETTER, INCONCLUSIVE, WORSE
from bench.report.content import words
from bench.report.content.table import Column, Table, table

_UNDIRECTED = {BETTER: "higher", WORSE: "lower"}  # where it is not known which way is better


def metric_table(results: Analysis) -> Table:
    """Return a row for each comparison, a column for each metric, the experiment's first."""
    others, found = results.by_other_metrics, results.effects
    if not others:
        return Table()
    own = ByMetric(results.metric, results.scale, found.comparisons)
    columns = [_column(one) for one in (own, *others)]
    name = Column("name", "compared with the baseline"), [one.name for one in found.comparisons]
    return table(name, *columns)


def verdict(by: ByMetric, one: Comparison) -> str:
    """Return a verdict in a word."""
    return one.verdict if by.directed else _UNDIRECTED.get(one.verdict, one.verdict)


def contradicted(results: Analysis) -> list[tuple[Comparison, list[str]]]:
    """Return the comparisons whose verdict is the opposite by other metrics, and these in words."""
    compared = {one.name: one for one in results.effects.comparisons}
    found = opposites(results.effects.comparisons, results.by_other_metrics)
    return [
        (compared[name], [_against(by, one) for by, one in against])
        for name, against in found.items()
    ]


def undirected(results: Analysis) -> list[str]:
    """Return the metrics of which it is not known which way they get better."""
    return [metrics.label(by.metric) for by in results.by_other_metrics if not by.directed]


def _column(by: ByMetric) -> tuple[Column, list[str]]:
    unit = words.unit(by.scale)
    shown = [_cell(by, one) for one in by.comparisons]
    return Column(by.metric, metrics.label(by.metric), unit=unit), shown


def _cell(by: ByMetric, one: Comparison) -> str:
    if math.isnan(one.contrast.difference):
        return INCONCLUSIVE
    return f"{words.effect(by, one.contrast.difference)} {verdict(by, one)}"


def _against(by: ByMetric, one: Comparison) -> str:
    return f"{metrics.label(by.metric)} ({words.with_unit(by, one.contrast.difference)})"
