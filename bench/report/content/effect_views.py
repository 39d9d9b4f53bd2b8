"""The tables of a report that hold statistics; like the others, plain text for every format."""

from __future__ import annotations

import math

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.analysis.effects import words
from bench.analysis.scales import MINUS
from bench.analysis.stats.anova import HIGHER, RESIDUAL, SEED, Row
from bench.report.content.cells import Table, between, number, table

_OTHER_SOURCES = {HIGHER: "interactions of three or more", RESIDUAL: "residual"}


def effect_table(results: Analysis) -> Table:
    """Return a row for each comparison with the baseline: what was seen, and the verdict."""
    found, replicate = results.effects, results.measurement.replicate
    columns = [
        "compared with the baseline",
        words.heading(found, found.scale.noun),
        "95 % interval",
        "verdict",
        f"{replicate}s that would decide",
        "p",
        "p corrected",
        words.heading(found, "detectable"),
        "P(higher)",
        f"{replicate} correlation",
        f"{replicate}s",
    ]
    corrected = found.correction != "none"
    rows = [
        (
            one.name,
            words.amount(found, one.contrast.difference),
            words.interval(found, one.contrast.low, one.contrast.high),
            words.verdict(found, one),
            words.seeds_needed(one),
            words.p_value(one.contrast.p),
            words.p_value(one.p_adjusted) if corrected else "",
            words.amount(found, one.detectable, signed=False),
            _short(one.probability),
            _short(one.correlation),
            str(one.seeds),
        )
        for one in found.comparisons
    ]
    return table(columns, rows, drop_empty=["p corrected", f"{replicate}s that would decide"])


def anova_table(results: Analysis) -> Table:
    """Return the analysis of variance of a full factorial; no rows for other designs."""
    others = {SEED: results.measurement.replicate, **_OTHER_SOURCES}
    rows = [
        (
            " × ".join(source.factors) or others[source.row.kind],
            f"{source.row.ss:.3g}",
            str(source.row.df),
            *_tested(source.row),
        )
        for source in results.effects.anova
    ]
    return table(["source", "SS", "df", "F", "p", "partial ω²"], rows)


def interaction_table(results: Analysis) -> Table:
    """Return the effects of each factor within the levels of another that it depends on."""
    found = results.effects
    rows = [
        (
            f"{simple.factor} = {simple.level}, not {simple.baseline}",
            f"{simple.moderator} = {simple.at}",
            words.amount(found, simple.contrast.difference),
            words.interval(found, simple.contrast.low, simple.contrast.high),
            words.p_value(simple.contrast.p),
        )
        for simple in found.simple
    ]
    amount = words.heading(found, found.scale.noun)
    return table(["effect of", "where", amount, "95 % interval", "p"], rows)


def image_table(results: Analysis) -> Table:
    """Return a row for each arm: its score if other images had been evaluated."""
    found = results.image_intervals
    means = results.effects.arms
    rows = [
        (label, number(means[label].mean), between(one.low, one.high), str(one.images))
        for label, one in found.items()
    ]
    columns = ["arm", metrics.label(results.metric), "95 % interval over images", "images"]
    return table(columns, rows)


def _tested(row: Row) -> tuple[str, str, str]:
    if math.isnan(row.f):
        return "", "", ""
    return "∞" if math.isinf(row.f) else f"{row.f:.2f}", words.p_value(row.p), _short(row.omega2)


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}".replace("-", MINUS)
