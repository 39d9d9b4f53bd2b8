"""By how much differences that were decided are overestimated (type M errors)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from bench.analysis.stats.families import error_scale


def exaggeration(effect: float, critical: float, df: float) -> float:
    """Return how many times too large a difference is on average, where it is significant.

    ``effect`` is the true difference in true standard errors, above 0; significant is what is more
    than ``critical`` estimated ones from 0, of an estimate with ``df`` degrees of freedom.

    Source: the exaggeration ratio of Gelman and Carlin (2014), whose estimate of the error is
    given; here it is integrated over.
    """
    scale, weights = error_scale(df)
    bound = critical * scale
    above, below = ndtr(effect - bound), ndtr(-effect - bound)
    density = np.exp(-0.5 * (bound - effect) ** 2) + np.exp(-0.5 * (bound + effect) ** 2)
    size = effect * (above - below) + density / math.sqrt(2 * math.pi)
    return float(weights @ size / (weights @ (above + below)) / effect)
