"""Verdicts on a difference. "No difference" is none of them: few runs cannot show it."""

from __future__ import annotations

import math

from scipy.special import stdtr

from bench.analysis.stats.blocks import Contrast, ratio
from bench.analysis.stats.constants import ALPHA

BETTER, WORSE, EQUIVALENT, INCONCLUSIVE = "better", "worse", "equivalent", "inconclusive"


def equivalence(difference: Contrast, delta: float) -> float:
    """Return p of the test that a difference lies within ±δ.

    Source: two one-sided tests, Schuirmann (1987).
    """
    if not difference.df > 0:
        return math.nan
    room = delta - abs(difference.difference)  # the nearer bound has the larger p
    return float(stdtr(difference.df, -ratio(room, difference.error)))


def verdict(
    difference: float,
    p: float,
    p_equivalent: float = math.nan,
    *,
    higher_is_better: bool = True,
    alpha: float = ALPHA,
) -> str:
    """Return ``better``, ``worse``, ``equivalent`` or ``inconclusive``.

    A difference that is certain and certainly within ±δ is ``equivalent``: δ says from where on
    a difference matters.

    Args:
        difference: level - baseline.
        p: of the test that they differ, corrected for the family; NaN where it was not possible.
        p_equivalent: of the test that they are equivalent, corrected likewise; NaN without δ.
        higher_is_better: whether a positive difference is good.
        alpha: p up to which a test decides.
    """
    if p_equivalent <= alpha:
        return EQUIVALENT
    if not p <= alpha:
        return INCONCLUSIVE
    return BETTER if (difference > 0) == higher_is_better else WORSE
