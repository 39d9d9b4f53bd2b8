"""Numbers and verdicts as a reader sees them, the same in tables, figures and sentences."""

from __future__ import annotations

import math

from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.summary import Effects
from bench.analysis.scales import MINUS
from bench.analysis.stats.power import MOST_SEEDS
from bench.analysis.stats.verdicts import EQUIVALENT, INCONCLUSIVE


def amount(found: Effects, value: float, *, signed: bool = True) -> str:
    """Return an amount as it is shown: ``+8.3``, or ``1.13`` of ratios."""
    if math.isnan(value):
        return "–"
    text = found.scale.written(found.scale.shown(value), decimals(found))
    return text if signed else text.lstrip(f"+{MINUS}")


def with_unit(found: Effects, value: float, *, signed: bool = True) -> str:
    """Return an amount and its unit: ``+8.3 points``, ``1.13 ×``."""
    return amount(found, value, signed=signed) + found.scale.suffix


def interval(found: Effects, low: float, high: float) -> str:
    """Return an interval of an amount: ``+1.9 to +14.7``, ``1.08 to 1.19``."""
    if math.isnan(low):
        return "–"
    return f"{amount(found, low)} to {amount(found, high)}"


def p_value(p: float) -> str:
    """Return a p value with three decimals, never as 0."""
    if math.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def equals(p: float) -> str:
    """Return what a p value is, to stand after its letter: ``= 0.049`` or ``< 0.001``."""
    return p_value(p) if p < 0.001 else f"= {p_value(p)}"


def verdict(found: Effects, comparison: Comparison) -> str:
    """Return a verdict in words, with the reason where nothing could be tested."""
    if comparison.verdict == EQUIVALENT and found.delta is not None:
        return f"equivalent within {margin(found)}"
    if comparison.reason:
        return f"{comparison.verdict}: {comparison.reason}"
    return comparison.verdict


def margin(found: Effects) -> str:
    """Return what does not matter: ``±2 points``, ``a factor 1.02``."""
    shown = found.scale.margin.format(found.scale.shown(found.delta or math.nan))
    return f"{shown} {found.scale.unit}".rstrip()


def seeds_needed(comparison: Comparison) -> str:
    """Return how many seeds would decide: ``12``, ``> 100``; empty where it is decided."""
    if comparison.verdict != INCONCLUSIVE or not comparison.testable:
        return ""
    needed = comparison.seeds_needed
    return f"> {MOST_SEEDS}" if needed is None else str(needed)


def decimals(found: Effects) -> int:
    """Return how many decimals are worth showing: up to the first digit of the least error."""
    errors = [found.scale.times * comparison.contrast.error for comparison in found.comparisons]
    least = min((error for error in errors if error > 0), default=1.0)
    return min(4, max(found.scale.decimals, -math.floor(math.log10(least))))


def heading(found: Effects, noun: str) -> str:
    """Return the head of a column of amounts: ``difference, points``."""
    return f"{noun}, {found.scale.unit}" if found.scale.unit else noun
