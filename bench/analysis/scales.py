"""The two kinds of experiments: what their scores are compared by, and in which words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.measurements import Measurement

MINUS = "\N{MINUS SIGN}"
MOST_FACTOR = 1000.0  # beyond this, up or down, nobody wants to know how much

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """What two scores are compared by.

    Statistics know differences alone. They are given ``into(scores)``, and what they find, here
    called an amount, is a difference of these. Where ``into`` is the natural logarithm, an
    amount is the logarithm of a ratio.

    Attributes:
        into: scores → what the statistics take, NaN where there is none.
        back: amount → difference in units of the metric, or ratio.
        bound: ``equivalence`` of an experiment file → amount.
        times: what ``back`` is multiplied with to be shown.
        written: what is shown, number of decimals → text.
        decimals: at least so many.
        neutral: what is shown where nothing differs.
        logarithmic: whether an axis of it is.
        noun: what is shown.
        unit: of what is shown, where it has one.
        suffix: what follows a number in a sentence.
        margin: the range within a bound, with a place for its number.
        towards: what joins the noun to the baseline.
        definition: what it is, of level and baseline.
        mean: of several.
        remark: what else to know, at the end of a sentence.
        size: what is shown of one that may go either way.
        either_way: said of it.
        squares: what sums of squares are of, where that is not the score itself.
    """

    into: Callable[[Array], Array]
    back: Callable[[float], float]
    bound: Callable[[float], float]
    times: float
    written: Callable[[float, int], str]
    decimals: int
    neutral: float
    logarithmic: bool
    noun: str
    unit: str
    suffix: str
    margin: str
    towards: str
    definition: str
    mean: str
    remark: str
    size: str
    either_way: str
    squares: str

    def shown(self, amount: float) -> float:
        """Return the number that is shown of an amount."""
        return self.times * self.back(amount)


def unchanged(value: float) -> float:
    """Return the value."""
    return value


def logarithms(scores: Array) -> Array:
    """Return natural logarithms; NaN of what is not positive, which no speed, time or size is."""
    return np.log(scores, out=np.full_like(scores, np.nan), where=scores > 0)


def exponential(amount: float) -> float:
    """Return e to the power of an amount; of one that could overflow, a very large number."""
    return math.exp(max(-200.0, min(amount, 200.0)) if math.isfinite(amount) else amount)


def signed(value: float, decimals: int) -> str:
    """Write a number with its sign, of which 0 has none: ``+8.3``, ``−0.4``, ``0.0``."""
    text = f"{value:+,.{decimals}f}"
    return (text if text.strip("+-0.,") else text.lstrip("+-")).replace("-", MINUS)


def factor(value: float, decimals: int) -> str:
    """Write a ratio: with ``decimals`` between 0.1 and 10, and as exactly beyond: ``0.028``."""
    if math.isnan(value):
        return "–"
    if not 1 / MOST_FACTOR <= value <= MOST_FACTOR:
        return f"> {MOST_FACTOR:,g}" if value > 1 else f"< {1 / MOST_FACTOR:g}"
    return f"{value:,.{max(0, decimals - math.trunc(math.log10(value)))}f}"


POINTS = Scale(
    into=np.asarray,
    back=unchanged,
    bound=unchanged,
    times=100.0,
    written=signed,
    decimals=1,
    neutral=0.0,
    logarithmic=False,
    noun="difference",
    unit="points",
    suffix=" points",
    margin="±{:g}",
    towards="from",
    definition="level minus baseline",
    mean="mean",
    remark=": points are hundredths of the score",
    size="difference",
    either_way="",
    squares="",
)

RATIO = Scale(
    into=logarithms,
    back=exponential,
    bound=math.log1p,
    times=1.0,
    written=factor,
    decimals=2,
    neutral=1.0,
    logarithmic=True,
    noun="ratio",
    unit="",
    suffix=" ×",
    margin="a factor {:g}",
    towards="to",
    definition="level over baseline",
    mean="geometric mean",
    remark="; averages, intervals and tests are computed of its natural logarithm",
    size="factor",
    either_way=", up or down,",
    squares="of natural logarithms and ",
)


def scale_of(measurement: Measurement) -> Scale:
    """Return what scores of a measurement are compared by."""
    return RATIO if measurement.ratios else POINTS
