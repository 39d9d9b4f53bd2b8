"""Verdicts at looks declared beforehand: bounds for t statistics of one growing sample.

At each look a part of α is spent, as much as its share of all runs allows (Lan and DeMets 1983,
of the type of O'Brien and Fleming): hardly any at first, nearly all at the end. The bounds are
those of the joint distribution of the successive t statistics, not of a normal approximation.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.special import betaincinv, betaln, gammaln, ndtr, ndtri, stdtr, stdtrit

Array: TypeAlias = NDArray[np.float64]

_LEAST = 1e-15  # less α than this is not spent: such bounds lie where nothing is computed
_Z = np.linspace(-8.3, 8.3, 417)  # where functions of a statistic are held, as normal quantiles
_ANGLES, _WEIGHTS = np.polynomial.legendre.leggauss(28)
# α between which those of other bounds are interpolated; close to each other where p matter.
_LIKELY = (0.999, 0.8, 0.55, 0.37, 0.25, 0.17, 0.11, 0.075, 0.05, 0.035, 0.02, 0.01, 5e-3)
_TRIED = np.array((*_LIKELY, 2e-3, 5e-4, 1e-4, 1e-5, 1e-6, 1e-7, 1e-9))
_SHARES = 24  # nodes of the integral over residuals


@dataclass(frozen=True)
class Look:
    """A look at a growing sample."""

    share: float  # of the runs that are planned; the last look's is 1
    information: float  # 1 / variance of the estimate, in any unit that all looks share
    df: int  # degrees of freedom of the estimated error


def spent(share: float, alpha: float) -> float:
    """Return how much of ``alpha`` is spent up to a look; all of it at the last.

    Source: α1*(t) of Lan and DeMets (1983), 2 - 2 Φ(z / √t), where z is the quantile of α / 2.
    """
    return 2 * float(ndtr(float(ndtri(alpha / 2)) / math.sqrt(share)))


def bound(looks: tuple[Look, ...], alpha: float, *, sides: int = 2) -> float:
    """Return what |t|, or t where ``sides`` is 1, has to reach at the last of the given looks.

    ``alpha`` is the probability that the bound of any look is reached if there is no difference.
    Infinite where so early a look can decide nothing.
    """
    return _reach(looks, alpha, sides)[0]


def repeated_p(t: float, looks: tuple[Look, ...], *, sides: int = 2) -> float:
    """Return the smallest α with which t reaches the bound of the last of the given looks.

    To about three digits, and at a later look never below the least of the α that are tried.

    Source: the repeated p value of Jennison and Turnbull (1989).
    """
    reached = abs(t) if sides == 2 else t
    if len(looks) == 1:  # what is spent, inverted
        alone = sides * float(stdtr(looks[0].df, -reached))
        return min(1.0, 2 * float(ndtr(float(ndtri(alone / 2)) * math.sqrt(looks[0].share))))
    needed, log_alpha = _by_alpha(looks, sides)
    if not len(needed) or reached <= needed[0]:
        return 1.0
    if len(needed) == 1 or reached >= needed[-1]:
        return math.exp(log_alpha[-1])
    return math.exp(float(PchipInterpolator(needed, log_alpha)(reached)))


@functools.lru_cache(maxsize=512)
def _by_alpha(looks: tuple[Look, ...], sides: int) -> tuple[Array, Array]:
    """Return finite bounds of the last of some looks, rising, and the logarithms of their α."""
    found = np.array([bound(looks, alpha, sides=sides) for alpha in _TRIED])
    finite = np.isfinite(found)
    needed, log_alpha = found[finite], np.log(_TRIED[finite])
    rising = np.append(True, needed[1:] > np.maximum.accumulate(needed)[:-1])
    return needed[rising[: len(needed)]], log_alpha[rising[: len(needed)]]


@functools.lru_cache(maxsize=4096)
def _reach(looks: tuple[Look, ...], alpha: float, sides: int) -> tuple[float, Array]:
    """Return the bound of the last look, and (Z,) the probability of no bound being reached before.

    That probability is given the statistic of the last look, at the quantiles ``_Z``.
    """
    last, before = looks[-1], looks[:-1]
    at_stake = spent(last.share, alpha) - (spent(before[-1].share, alpha) if before else 0.0)
    if not before:
        found = -float(stdtrit(last.df, at_stake / sides)) if at_stake > _LEAST else math.inf
        return found, np.ones_like(_Z)
    earlier, reached = _reach(before, alpha, sides)
    inside = _not_yet(before[-1], last, earlier, reached, sides)
    cells = np.diff(ndtr(_Z)) * (inside[1:] + inside[:-1]) / 2
    cells[_Z[1:] > 0] = (-np.diff(ndtr(-_Z)) * (inside[1:] + inside[:-1]) / 2)[_Z[1:] > 0]
    above = np.cumsum(cells[::-1])[::-1]  # P(beyond the cell's lower end, and no bound before)
    if at_stake / sides <= max(_LEAST, above[-1]):
        return math.inf, inside
    if at_stake / sides >= above[0]:
        return -math.inf if sides == 1 else 0.0, inside
    rising = np.maximum(above[::-1], 1e-300)
    z = float(np.interp(math.log(at_stake / sides), np.log(rising), _Z[:-1][::-1]))
    return -float(stdtrit(last.df, ndtr(-z))), inside


def _not_yet(one: Look, two: Look, earlier: float, reached: Array, sides: int) -> Array:
    """Return (Z,) probabilities that no bound was reached before, given t at the later look.

    ``reached`` holds them given t at the earlier look, whose bound is ``earlier``.

    Without a difference all values of the sample are normal and alike, so their direction is
    uniform on a sphere, whatever their length. Given t at the later look, the statistics before
    depend on what lies at right angles to it: its component W towards the earlier mean, and the
    share B of the rest that is residual of the earlier values, which is beta distributed. So
    successive t statistics are a Markov chain, and a look costs one integral over both.

    Source: Jennison and Turnbull (1991), exact calculations for sequential t tests.
    """
    rho = math.sqrt(one.information / two.information)
    aside = math.sqrt(max(0.0, 1 - rho**2))
    t = _quantiles(two.df)[:, None, None]
    along, rest = t / np.sqrt(two.df + t**2), np.sqrt(two.df / (two.df + t**2))
    share, weight = _residual_share(one.df, two.df - one.df - 1)
    # Of W = sin(angle), those with which the earlier bound was not reached.
    widest = min(math.pi / 2, 9.0 / math.sqrt(two.df))
    low, high = np.full_like(along * share, -widest), np.full_like(along * share, widest)
    if math.isfinite(earlier):
        across, limit = aside * rest, earlier * np.sqrt(share / one.df) * rest
        turned, radius = np.arctan2(across, limit), np.hypot(across, limit)
        half = np.arccos(np.clip(rho * along / radius, -1, 1))
        low, high = np.maximum(low, -half - turned), np.minimum(high, half - turned)
        if sides == 2:
            half = np.arccos(np.clip(-rho * along / radius, -1, 1))
            low, high = np.maximum(low, turned - half), np.minimum(high, turned + half)
    width = np.maximum(high - low, 0) / 2
    angle = (low + high) / 2 + width * _ANGLES
    density = np.exp((two.df - 2) * np.log(np.maximum(np.cos(angle), 1e-300)))
    size = np.maximum(rest * np.cos(angle) * np.sqrt(share / one.df), 1e-300)
    before = np.interp(
        (rho * along + aside * rest * np.sin(angle)) / size, _quantiles(one.df), reached
    )
    total = math.exp(float(gammaln(two.df / 2) - gammaln((two.df - 1) / 2))) / math.sqrt(math.pi)
    integrated: Array = (width * weight * density * before * _WEIGHTS).sum((1, 2)) * total
    return np.clip(integrated, 0.0, 1.0)


@functools.lru_cache(maxsize=512)
def _quantiles(df: int) -> Array:
    """Return Student's t at the probabilities of ``_Z``; from the nearer tail, which is exact."""
    tail = stdtrit(df, ndtr(-np.abs(_Z)))
    found: Array = np.where(_Z < 0, tail, -tail)
    return found


@functools.lru_cache(maxsize=512)
def _residual_share(before: int, new: int) -> tuple[Array, Array]:
    """Return nodes and weights, (B, 1) each, of the share of ``before`` of all residuals.

    The logit of a beta variable has a smooth density, to which the trapezoidal rule is exact.
    """
    if new < 0:
        raise ValueError("a look without a new degree of freedom tells nothing")
    if not new:
        return np.ones((1, 1)), np.ones((1, 1))
    a, b = before / 2, new / 2
    low, high = (float(betaincinv(*pair, 1e-9)) for pair in ((a, b), (b, a)))
    logit = np.linspace(math.log(low / (1 - low)), math.log((1 - high) / high), _SHARES)
    log_share, log_rest = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
    weight = np.exp(a * log_share + b * log_rest - float(betaln(a, b)))
    return np.exp(log_share)[:, None], (weight / weight.sum())[:, None]
