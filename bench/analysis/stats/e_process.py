"""Verdicts that hold whenever somebody looks: an e-process for t statistics of a growing sample.

An e-value is a bet against "no difference" that has an expectation of 1 at most if there is none,
at whatever number of seeds one stops. It exceeds 1 / α at any of them with probability α at most
(Ville 1939), so 1 / e is a p value however often it is looked at.
"""

from __future__ import annotations

import math

from bench.analysis.stats.blocks import ratio
from bench.analysis.stats.sample import ALPHA

# Standard deviation of true differences that the bet is laid out for, in those between runs. It
# decides power and never validity; tests/simulations/looks.py prints what others would give.
PRIOR = 2.0


def log_e(t: float, df: float, information: float, prior: float = PRIOR) -> float:
    """Return the logarithm of the e-value of a t statistic; 0 where nothing can be tested.

    ``information`` is the variance of a run over that of the estimated difference: n / 2 for n
    pairs of runs.

    Source: the Bayes factor of a normal prior on the difference in standard deviations, with the
    right Haar prior on the standard deviation under both hypotheses. Its closed form is that of
    Gönen et al. (2005); that it is an e-process, Pérez-Ortiz, Lardy, de Heide and Grünwald (2024,
    "E-statistics, group invariance and anytime-valid testing"), and for linear models Lindon, Ham,
    Tingley and Bojinov (2022).
    """
    if df < 1:
        return 0.0
    widened = 1 + information * prior**2  # variance of the estimate under the bet, over that of 0
    if math.isinf(t):
        return 0.5 * df * math.log(widened)
    square = t**2 / df
    return 0.5 * (df + 1) * math.log((1 + square) / (1 + square / widened)) - 0.5 * math.log(
        widened
    )


def p_value(t: float, df: float, information: float, prior: float = PRIOR) -> float:
    """Return 1 / e, at most 1: a p value at whatever number of seeds it is computed."""
    return math.exp(-max(0.0, log_e(t, df, information, prior)))


def critical_value(
    df: float, information: float, alpha: float = ALPHA, prior: float = PRIOR
) -> float:
    """Return what |t| has to reach for e = 1 / α; infinite where so few runs cannot show it.

    An estimate ± this many standard errors is a confidence sequence: the interval covers the true
    difference at all numbers of seeds at once with probability 1 - α.
    """
    if df < 1:
        return math.inf
    widened = 1 + information * prior**2
    power = math.exp((math.log(widened) - 2 * math.log(alpha)) / (df + 1))
    if power >= widened:
        return math.inf
    return math.sqrt(df * (power - 1) / (1 - power / widened))


def equivalence(
    difference: float, error: float, df: float, information: float, delta: float
) -> float:
    """Return an always-valid p of the test that a difference lies within ±δ.

    It is at most α where the confidence sequence of 1 - α lies within.
    """
    inside = delta - abs(difference)
    if inside <= 0:
        return 1.0
    return p_value(ratio(inside, error), df, information)
