"""The tables of a report that hold statistics."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from bench.analysis.analysis import Analysis, Effects
from bench.analysis.stats.anova import HIGHER, RESIDUAL, SEED
from bench.report.content import words
from bench.report.content.numbers import fixed, p_value, score, significant, whole
from bench.report.content.table import Column, Table, of_metric, table

_OTHER_SOURCES = {HIGHER: "interactions of three or more", RESIDUAL: "residual"}
_SUCH = Column("such_images", "on such images", "verdict", optional=True)
_P, _TWO = Column("p", "p", "number", p_value), fixed(2)


def effect_table(results: Analysis) -> Table:
    """Return a row for each comparison with the baseline: what was seen, and the verdict."""
    found, replicate = results.effects, results.measurement.replicate
    compared, corrected = found.comparisons, found.correction != "none"
    contrasts = [one.contrast for one in compared]
    effect, interval = effect_columns(found)
    p_corrected = Column("p_corrected", "p corrected", "number", p_value, optional=True)
    write, unit = writer(found, signed=False), words.unit(found.scale)
    declared = bool(results.plan.looks)  # then power is a matter of all looks together
    detectable = Column("detectable", "detectable", "number", write, unit, optional=declared)
    look = Column("look", "look", "number", whole, optional=True)
    correlation = Column("correlation", f"{replicate} correlation", "number", _TWO, optional=True)
    shared = results.plan.pairing == "seed"
    return table(
        (Column("name", "compared with the baseline"), [one.name for one in compared]),
        (effect, [one.difference for one in contrasts]),
        (interval, [(one.low, one.high) for one in compared]),
        (Column("verdict", "verdict", "verdict"), [words.verdict(found, one) for one in compared]),
        (_SUCH, [words.on_such_images(results, one) for one in compared]),
        (_P, [one.p for one in contrasts]),
        (p_corrected, [one.p_adjusted if corrected else None for one in compared]),
        (detectable, [one.detectable for one in compared]),
        (correlation, [one.correlation if shared else None for one in compared]),
        (look, [one.look or None for one in compared]),
        (Column("seeds", f"{replicate}s", "number", whole), [one.seeds for one in compared]),
    )


def probability_table(results: Analysis) -> Table:
    """Return a row for each comparison: how probable it is that a run is the higher one."""
    found = [one for one in results.effects.comparisons if not math.isnan(one.probability)]
    return table(
        (Column("name", "compared with the baseline"), [one.name for one in found]),
        (Column("probability", "P(higher)", "number", _TWO), [one.probability for one in found]),
        (
            Column("interval", "95 % interval", "interval", _TWO),
            [one.probability_interval for one in found],
        ),
    )


def anova_table(results: Analysis) -> Table:
    """Return the analysis of variance of a full factorial; no rows for other designs."""
    others = {SEED: results.measurement.replicate, **_OTHER_SOURCES}
    rows = results.effects.anova
    names = [" × ".join(row.factors) or others[row.kind] for row in rows]
    return table(
        (Column("source", "source"), names),
        (Column("ss", "SS", "number", significant), [row.ss for row in rows]),
        (Column("df", "df", "number", whole), [row.df for row in rows]),
        (Column("f", "F", "number", _TWO), [row.f for row in rows]),
        (_P, [row.p for row in rows]),
        (Column("omega2", "partial ω²", "number", _TWO), [row.omega2 for row in rows]),
    )


def interaction_table(results: Analysis) -> Table:
    """Return the effects of each factor within the levels of another that it depends on."""
    simple = results.effects.simple
    names = [f"{one.factor} = {one.level}, not {one.baseline}" for one in simple]
    effect, interval = effect_columns(results.effects)
    return table(
        (Column("effect", "effect of"), names),
        (Column("where", "where"), [f"{one.moderator} = {one.at}" for one in simple]),
        (effect, [one.contrast.difference for one in simple]),
        (interval, [(one.contrast.low, one.contrast.high) for one in simple]),
        (_P, [one.contrast.p for one in simple]),
    )


def claim_table(results: Analysis) -> Table:
    """Return a row for each claim about such images, with its interval."""
    claims = {name: claim for name, claim in results.image_claims.items() if claim.verdict}
    compared = [one for one in results.effects.comparisons if one.name in claims]
    contrasts = [claim.contrast for claim in claims.values()]
    effect, interval = effect_columns(results.effects)
    interval = replace(interval, label="95 % interval on such images")
    groups = Column("groups", "groups", "number", whole, optional=True)
    p_corrected = Column("p_corrected", "p corrected", "number", p_value, optional=True)
    corrected = results.effects.correction != "none"
    return table(
        (Column("name", "compared with the baseline"), claims),
        (effect, [one.difference for one in contrasts]),
        (interval, [(one.low, one.high) for one in claims.values()]),
        (_SUCH, [words.on_such_images(results, one) for one in compared]),
        (_P, [one.p for one in contrasts]),
        (p_corrected, [one.p_adjusted if corrected else None for one in claims.values()]),
        (Column("df", "df", "number", fixed(1)), [one.df for one in contrasts]),
        (Column("images", "images", "number", whole), [one.images for one in claims.values()]),
        (groups, [one.units if one.noun == "group" else None for one in claims.values()]),
    )


def image_table(results: Analysis) -> Table:
    """Return a row for each arm: its score if other images had been evaluated."""
    found, arms = results.image_intervals, results.effects.arms
    interval = Column("interval", "95 % interval over images", "interval", score)
    return table(
        (Column("arm", "arm"), found),
        (of_metric(results.metric), [arms[label].mean for label in found]),
        (interval, [(one.low, one.high) for one in found.values()]),
        (Column("images", "images", "number", whole), [one.images for one in found.values()]),
    )


def effect_columns(found: Effects) -> tuple[Column, Column]:
    """Return the columns of an effect and of its interval."""
    write, scale = writer(found), found.scale
    effect = Column("effect", words.noun(scale), "number", write, words.unit(scale))
    return effect, Column("interval", "95 % interval", "interval", write)


def writer(found: Effects, *, signed: bool = True) -> Callable[[float, float], str]:
    """Return what writes effects in the cells of a table."""
    return lambda value, _like: words.effect(found, value, signed=signed)
