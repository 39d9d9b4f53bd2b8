"""The two kinds of experiments: what their scores are compared by, and in which words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MINUS = "\N{MINUS SIGN}"
LOWER_IS_BETTER = frozenset({"seconds", "milliseconds", "peak_gigabytes"})  # else more is
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


@dataclass(frozen=True)
class Kind:
    """How one kind of experiment is reported.

    Attributes:
        scale: what their scores are compared by.
        replicate: what tells the trials of one arm apart.
        run: what one trial is.
        runs: what several of one arm are, and how they differ.
        dot: what a dot in a figure stands for.
        made: how an arm comes by its scores.
        chance: what may move a score beside the setting.
        by_class: whether scores are means over classes, of networks that were trained.
    """

    scale: Scale
    replicate: str
    run: str
    runs: str
    dot: str
    made: str
    chance: str
    by_class: bool


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

KINDS: Mapping[str, Kind] = {
    "accuracy": Kind(
        scale=POINTS,
        replicate="seed",
        run="training run",
        runs="training runs that differ in their seed alone",
        dot="one trained network",
        made="trained",
        chance="the seed",
        by_class=True,
    ),
    "throughput": Kind(
        scale=RATIO,
        replicate="repetition",
        run="run",
        runs="repetitions, each in a process of its own",
        dot="one repetition",
        made="measured",
        chance="the moment",
        by_class=False,
    ),
}
