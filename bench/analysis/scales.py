"""What scores are compared by: differences in points, or ratios."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.measurements import Measurement
from bench.metrics import is_own

MINUS = "\N{MINUS SIGN}"
_LARGEST = 1000.0  # ratios above it and below its inverse are not shown exactly

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """What two scores are compared by.

    Statistics are computed of ``into(scores)``, and an effect is a difference of these. Where
    ``into`` is the natural logarithm, an effect is the logarithm of a ratio.
    """

    into: Callable[[Array], Array]  # scores → what statistics are computed of, perhaps NaN
    back: Callable[[float], float]  # effect → difference in units of the metric, or ratio
    bound: Callable[[float], float]  # ``equivalence`` of an experiment file → effect
    times: float  # what ``back`` is multiplied by to be shown
    written: Callable[[float, int], str]  # what is shown, number of decimals → text
    decimals: int  # at least so many
    neutral: float  # what is shown of no effect
    unit: str  # of what is shown
    logarithmic: bool  # whether an axis of it is

    def shown(self, effect: float) -> float:
        """Return the number that is shown of an effect."""
        return self.times * self.back(effect)


def logarithms(scores: Array) -> Array:
    """Return natural logarithms; NaN of what is not positive, which no speed, time or size is."""
    return np.log(scores, out=np.full_like(scores, np.nan), where=scores > 0)


def exponential(effect: float) -> float:
    """Return e to the power of an effect; of one that could overflow, a very large number."""
    return math.exp(max(-200.0, min(effect, 200.0)) if math.isfinite(effect) else effect)


def signed(value: float, decimals: int) -> str:
    """Write a number with its sign, of which 0 has none: ``+8.3``, ``−0.4``, ``0.0``."""
    text = f"{value:+,.{decimals}f}"
    return (text if text.strip("+-0.,") else text.lstrip("+-")).replace("-", MINUS)


def factor(value: float, decimals: int) -> str:
    """Write a ratio: with ``decimals`` between 0.1 and 10, and as exactly beyond: ``0.028``."""
    if math.isnan(value):
        return "–"
    if not 1 / _LARGEST <= value <= _LARGEST:
        return f"> {_LARGEST:,g}" if value > 1 else f"< {1 / _LARGEST:g}"
    return f"{value:,.{max(0, decimals - math.trunc(math.log10(value)))}f}"


POINTS = Scale(
    into=np.asarray,
    back=float,
    bound=float,
    times=100.0,  # points are hundredths of a score
    written=signed,
    decimals=1,
    neutral=0.0,
    unit="points",
    logarithmic=False,
)

UNITS = replace(POINTS, times=1.0, decimals=3, unit="")  # of a number that may be no share

RATIO = Scale(
    into=logarithms,
    back=exponential,
    bound=math.log1p,
    times=1.0,
    written=factor,
    decimals=2,
    neutral=1.0,
    unit="×",
    logarithmic=True,
)


def scale_of(measurement: Measurement, metric: str) -> Scale:
    """Return what scores are compared by: a measurement's, of a metric."""
    if measurement.ratios:
        return RATIO
    return UNITS if is_own(metric) else POINTS
