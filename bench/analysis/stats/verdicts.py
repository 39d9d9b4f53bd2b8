"""Verdicts on a difference; "no difference" is not one of them, as few runs cannot show it."""

from __future__ import annotations

import math

from scipy.special import stdtr

from bench.analysis.stats.blocks import Contrast, ratio
from bench.analysis.stats.sample import ALPHA

BETTER, WORSE, EQUIVALENT, INCONCLUSIVE = "better", "worse", "equivalent", "inconclusive"


def equivalence(difference: Contrast, delta: float) -> float:
    """Return p of the test that a difference lies within ±δ.

    Source: two one-sided tests, Schuirmann (1987).
    """
    if not difference.df > 0:
        return math.nan
    inside = delta - abs(difference.difference)  # the nearer bound has the larger p
    return float(stdtr(difference.df, -ratio(inside, difference.error)))


def verdict(
    difference: float, p: float, p_equivalent: float = math.nan, *, higher_is_better: bool = True
) -> str:
    """Return ``better``, ``worse``, ``equivalent`` or ``inconclusive``.

    A difference that is significant and significantly within ±δ is ``equivalent``: δ says from
    where on a difference matters. Both p are corrected for the family, and NaN where there was
    no test.
    """
    if p_equivalent <= ALPHA:
        return EQUIVALENT
    if not p <= ALPHA:
        return INCONCLUSIVE
    return BETTER if (difference > 0) == higher_is_better else WORSE
