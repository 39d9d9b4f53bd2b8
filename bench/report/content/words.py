"""Words and numbers of comparisons and verdicts, the same in tables, figures and sentences."""

from __future__ import annotations

import math

from bench.analysis.analysis import Analysis, Effects
from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.other_metrics import ByMetric
from bench.analysis.scales import MINUS, Scale
from bench.analysis.stats import folds
from bench.analysis.stats.verdicts import EQUIVALENT, INCONCLUSIVE
from bench.report.content.numbers import listed

Compared = Effects | ByMetric


def noun(scale: Scale) -> str:
    """Return what effects on a scale are."""
    return "ratio" if scale.logarithmic else "difference"


def unit(scale: Scale) -> str:
    """Return the unit of effects on a scale; empty where they have none."""
    return "" if scale.logarithmic else scale.unit


def effect(found: Compared, value: float, *, signed: bool = True) -> str:
    """Return an effect as it is shown: ``+8.3`` points, or a ratio of ``1.13``."""
    if math.isnan(value):
        return "–"
    text = found.scale.written(found.scale.shown(value), decimals(found))
    return text if signed else text.lstrip(f"+{MINUS}")


def with_unit(found: Compared, value: float, *, signed: bool = True) -> str:
    """Return an effect and its unit: ``+8.3 points``, ``1.13 ×``."""
    return f"{effect(found, value, signed=signed)} {found.scale.unit}".rstrip()


def interval(found: Effects, low: float, high: float) -> str:
    """Return an interval of an effect: ``+1.9 to +14.7``, ``1.08 to 1.19``."""
    return "–" if math.isnan(low) else f"{effect(found, low)} to {effect(found, high)}"


def verdict(found: Effects, comparison: Comparison) -> str:
    """Return a verdict in words, with the reason where nothing could be tested."""
    if comparison.verdict == EQUIVALENT and found.delta is not None:
        return f"equivalent within {margin(found)}"
    if comparison.reason:
        return f"{comparison.verdict}: {comparison.reason}"
    return comparison.verdict


def on_such_images(results: Analysis, comparison: Comparison) -> str:
    """Return the verdict for such images in words; empty where no comparison has one."""
    claims = results.image_claims
    if comparison.name not in claims or not any(claim.verdict for claim in claims.values()):
        return ""
    claim = claims[comparison.name]
    if claim.verdict == EQUIVALENT:
        return f"equivalent within {margin(results.effects)}"
    return claim.verdict or f"not known: {claim.reason}"


def beyond_these_images(results: Analysis) -> str:
    """Return what the answer adds about such images; empty where nothing is claimed."""
    decided = [one for one in results.effects.comparisons if one.verdict != INCONCLUSIVE]
    claims = [results.image_claims.get(one.name) for one in decided]
    if not any(claim and claim.verdict for claim in claims):
        return ""
    holds = [
        one.name
        for one, claim in zip(decided, claims, strict=True)
        if claim and claim.verdict == one.verdict
    ]
    if not holds:
        return "; on other such images this is not shown"
    if len(holds) == len(decided):
        return "; on other such images too"
    return f"; on other such images this is shown of {listed(holds)} only"


def replicates(results: Analysis) -> str:
    """Return what runs of an arm are: ``training runs with different seeds``."""
    if not results.measurement.trains:
        return "repetitions, each in its own process"
    if results.runs.overlap:
        return "training runs in cross-validation, each with other images held out"
    return "training runs with different seeds"


def widening(results: Analysis, runs: int) -> float:
    """Return how much wider intervals over so many runs are, as their training sets overlap."""
    return folds.widening(runs, results.runs.overlap)


def margin(found: Effects) -> str:
    """Return what does not matter: ``±2 points``, ``a factor 1.02``."""
    shown = found.scale.shown(found.delta or math.nan)
    if found.scale.logarithmic:
        return f"a factor {shown:g}"
    return f"±{shown:g} {found.scale.unit}".rstrip()


def all_detectable(found: Effects) -> bool:
    """Tell whether every comparison that could be tested could also be decided."""
    return not any(math.isnan(one.detectable) for one in found.comparisons if one.testable)


def decimals(found: Compared) -> int:
    """Return how many decimals are worth showing: up to the first digit of the least error."""
    errors = [found.scale.times * comparison.contrast.error for comparison in found.comparisons]
    least = min((error for error in errors if error > 0), default=1.0)
    return min(4, max(found.scale.decimals, -math.floor(math.log10(least))))
