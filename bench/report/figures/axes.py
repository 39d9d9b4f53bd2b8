"""Axes of several figures: named rows, text beside them, logarithmic axes in plain numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator, NullLocator

from bench.report.figures.style import SMALL

_MOST_LABELS = 9
_MARGIN = 10.0  # factor beyond what is drawn, after which intervals run out of the frame
_DENSE, _SPARSE, _ONE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (1, 2, 5), (1,)
# How a logarithmic axis may be labelled, densest first: numbers in a decade, in every nth decade.
_LABELS = ((_DENSE, 1), (_SPARSE, 1), (_ONE, 1), (_ONE, 3), (_ONE, 9))


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write a name beside each of the rows 0, 1, 2, …, which no line separates."""
    axes.set_yticks(range(len(names)), list(names))
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def beside(axes: Axes, row: float, words: str, *, gap: float = 6, bold: bool = False) -> None:
    """Write words to the right of a row, ``gap`` points outside the frame."""
    axes.annotate(
        words,
        (1.0, row),
        (gap, 0),
        ("axes fraction", "data"),
        "offset points",
        va="center",
        size=SMALL,
        weight="bold" if bold else "normal",
    )


def legend_beside(axes: Axes, handles: Sequence[Any], title: str | None = None) -> None:
    """Explain lines to the right of the frame."""
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.02)}
    axes.legend(handles=handles, title=title, fontsize=SMALL, title_fontsize=SMALL, **place)


def plain_numbers(axis: Axis) -> None:
    """Label a logarithmic axis in digits, as densely as fits."""
    low, high = axis.get_view_interval()
    if high < 2 * low:
        even = MaxNLocator(nbins=8, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        shown = [float(tick) for tick in even if low <= tick <= high]
    else:
        choices = (_ticks(low, high, bases, step) for bases, step in _LABELS)
        shown = next((ticks for ticks in choices if len(ticks) <= _MOST_LABELS), [low, high])
    axis.set_ticks(shown, labels=[f"{tick:,g}" for tick in shown])
    axis.set_minor_locator(NullLocator())


def logarithmic(axes: Axes, values: Iterable[float]) -> None:
    """Make y logarithmic, and let wide intervals around the values run out of the frame."""
    drawn = [value for value in values if value > 0]
    axes.set_yscale("log")
    if drawn:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, min(drawn) / _MARGIN), min(high, _MARGIN * max(drawn)))
        plain_numbers(axes.yaxis)


def _ticks(low: float, high: float, bases: Sequence[float], step: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [base * 10.0**power for power in powers if power % step == 0 for base in bases]
    return [tick for tick in ticks if low <= tick <= high]
