"""Comparisons with the baseline, and the analysis of variance: what the statistics gave."""

from __future__ import annotations

import math

import pandas as pd

from bench.analysis.analysis import Analysis, Effects
from bench.analysis.effects.comparisons import Comparison
from bench.analysis.effects.image_claims import ImageClaim
from bench.analysis.effects.planning import Planning
from bench.analysis.stats.assurance import Needed
from bench.analysis.stats.verdicts import EQUIVALENT
from bench.report.content import words
from bench.store.frame import Row, typed

_DIGITS = 6  # the last digits of what is computed differ between processors


def comparisons(results: Analysis) -> pd.DataFrame:
    """Return a row for each comparison with the baseline."""
    found = results.effects
    claims = results.image_claims
    said = any(claim.verdict for claim in claims.values())
    rows = [
        {
            **_comparison(one, found, results.planning.get(one.name)),
            **(_claim(claims.get(one.name), found) if said else {}),
        }
        for one in found.comparisons
    ]
    noun = words.noun(found.scale)
    return typed(rows, ("factor", "level", "baseline", noun, "low", "high", "verdict"))


def anova(results: Analysis) -> pd.DataFrame:
    """Return the analysis of variance of a full factorial; no rows for other designs."""
    rows = [
        {
            "source": " × ".join(row.factors) or row.kind,
            "kind": row.kind,
            "ss": short(row.ss),
            "df": row.df,
            "f": short(row.f),
            "p": short(row.p),
            "partial_omega2": short(row.omega2),
        }
        for row in results.effects.anova
    ]
    return typed(rows, ("source", "kind", "ss", "df", "f", "p", "partial_omega2"))


def _comparison(one: Comparison, found: Effects, planned: Planning | None) -> Row:
    contrast, scale, noun = one.contrast, found.scale, words.noun(found.scale)
    low, high = planned.detectable if planned else (math.nan, math.nan)
    seeds = planned.seeds if planned and planned.seeds else Needed(None, None, None)
    numbers = {
        noun: scale.back(contrast.difference),
        "low": scale.back(one.low),
        "high": scale.back(one.high),
        "error": contrast.error,
        "df": contrast.df,
        "p": contrast.p,
        "p_corrected": one.p_adjusted,
        "p_equivalent": one.p_equivalent,
        "probability": one.probability,
        "probability_low": one.probability_interval[0],
        "probability_high": one.probability_interval[1],
        "seed_correlation": one.correlation,
        "detectable": scale.back(one.detectable),
        "detectable_low": scale.back(low),
        "detectable_high": scale.back(high),
        "exaggeration": planned.exaggeration if planned and planned.exaggerated else math.nan,
    }
    return {
        "factor": one.factor,
        "level": one.level,
        "baseline": one.baseline,
        **{name: short(value) for name, value in numbers.items()},
        "correction": found.correction,
        "verdict": _verdict(one, found),
        "reason": one.reason,
        **({"look": one.look} if one.look else {}),
        "seeds_to_decide": seeds.seeds,
        "seeds_to_decide_low": seeds.low,
        "seeds_to_decide_high": seeds.high,
        "cells": one.cells,
        "seeds": one.seeds,
        "unmatched": one.unmatched,
        f"seed_{noun}s": " ".join(f"{scale.back(v):.{_DIGITS}g}" for v in one.differences),
    }


def _claim(claim: ImageClaim | None, found: Effects) -> Row:
    """Return what holds on such images, in columns of their own."""
    claim = claim or ImageClaim()
    back = found.scale.back
    return {
        "such_verdict": _verdict(claim, found),
        "such_reason": claim.reason,
        "such_low": short(back(claim.low)),
        "such_high": short(back(claim.high)),
        "such_p": short(claim.contrast.p),
        "such_p_corrected": short(claim.p_adjusted),
        "images": claim.images,
        "image_groups": claim.units,
    }


def _verdict(one: Comparison | ImageClaim, found: Effects) -> str:
    if one.verdict != EQUIVALENT or found.delta is None:
        return one.verdict
    margin = found.scale.back(found.delta)
    ratios = found.scale.logarithmic
    return f"equivalent within {f'a factor {margin:g}' if ratios else f'±{margin:g}'}"


def short(value: float) -> float | None:
    """Return a number with the digits that are certain; None in place of NaN."""
    return None if math.isnan(value) else float(f"{value:.{_DIGITS}g}")
