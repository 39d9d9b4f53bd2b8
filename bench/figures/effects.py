"""Every comparison with the baseline on one axis: difference, interval, verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench.effects import Comparison, Effects, effects, words
from bench.figures.style import (
    ABSENT,
    HUES,
    INK,
    MOST_ARMS,
    PAPER,
    RULE,
    SMALL,
    WIDTH,
    one_line,
    styled,
)
from bench.frame import Results, spoken
from bench.stats.verdicts import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE

_ROW = 0.34  # inches
# Colour and shape of the dot; the verdict stands beside it in words as well.
_LOOKS = {
    BETTER: (HUES[0], "^"),
    WORSE: (HUES[1], "v"),
    EQUIVALENT: (HUES[2], "s"),
    INCONCLUSIVE: (RULE, "o"),
}


@styled
def draw(results: Results) -> Figure | None:
    """Draw a row for each comparison; None where no difference is known."""
    found = effects(results)
    known = [one for one in found.comparisons if not math.isnan(one.contrast.difference)]
    shown = known[:MOST_ARMS]
    if not shown:
        return None
    rows = _rows(shown)
    figure = Figure(figsize=(WIDTH, _ROW * len(rows) + 1.0), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(rows):
        if isinstance(row, Comparison):
            _comparison(axes, found, row, y)
    axes.axvline(0, color=INK, lw=1.0, zorder=2)
    if found.delta is not None:
        band = found.scale * found.delta
        axes.axvspan(-band, band, color=HUES[2], alpha=0.13, lw=0, zorder=0)
    _name_rows(axes, rows)
    axes.set_xlim(*_limits(found, shown))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    unit = f" in {found.unit}" if found.unit else ""
    axes.set_xlabel(f"difference of {spoken(results.metric)} from the baseline{unit}")
    figure.legend(
        handles=_legend(found), loc="outside lower left", ncols=5, fontsize=SMALL, handlelength=1.6
    )
    figure.set_label(_caption(results, found, len(shown), len(known)))
    return figure


def _rows(shown: Sequence[Comparison]) -> list[Comparison | str]:
    """Return comparisons, each factor's under a heading."""
    rows: list[Comparison | str] = []
    factor: str | None = ""
    for one in shown:
        if one.factor != factor:
            factor = one.factor
            rows.append(f"{'' if factor is None else f'{factor} '}against {one.baseline}")
        rows.append(one)
    return rows


def _comparison(axes: Axes, found: Effects, one: Comparison, y: int) -> None:
    colour, marker = _LOOKS[one.verdict]
    contrast, scale = one.contrast, found.scale
    if not math.isnan(one.detectable):
        reach = scale * one.detectable
        axes.barh(y, 2 * reach, left=-reach, height=0.62, color=ABSENT, lw=0, zorder=1)
    seeds = scale * np.array(one.differences)
    axes.plot(seeds, np.full(len(seeds), y), "|", color=colour, ms=9, mew=1.0, alpha=0.7, zorder=3)
    if not math.isnan(contrast.low):
        ends = [scale * contrast.low, scale * contrast.high]
        axes.plot(ends, [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=3)
    axes.plot(
        scale * contrast.difference,
        y,
        marker,
        color=colour,
        ms=8,
        markeredgecolor=PAPER,
        markeredgewidth=0.8,
        zorder=4,
    )
    axes.annotate(
        _words(found, one),
        (1.0, y),
        (8, 0),
        ("axes fraction", "data"),
        "offset points",
        va="center",
        size=SMALL,
        weight="normal" if one.verdict == INCONCLUSIVE else "bold",
    )


def _limits(found: Effects, shown: Sequence[Comparison]) -> tuple[float, float]:
    """Return limits that hold what was seen; a wider grey bar runs out of the frame."""
    seen = [0.0, *((found.delta, -found.delta) if found.delta else ())]
    for one in shown:
        ends = one.contrast.low, one.contrast.difference, one.contrast.high, *one.differences
        seen += (end for end in ends if not math.isnan(end))
    low, high = min(seen), max(seen)
    reach = max((one.detectable for one in shown if one.testable), default=0.0)
    room = 0.25 * (high - low) or 0.01
    return (
        found.scale * max(low - room, min(low, -reach) - 0.2 * room),
        found.scale * min(high + room, max(high, reach) + 0.2 * room),
    )


def _words(found: Effects, one: Comparison) -> str:
    """Return the verdict, and what would decide where nothing is decided."""
    needed = words.seeds_needed(one)
    more = f"; {needed} seeds would decide".replace("> ", "more than ") if needed else ""
    return f"{words.verdict(found, one)}{more}"


def _name_rows(axes: Axes, rows: Sequence[Comparison | str]) -> None:
    """Write levels beside their rows, and factors in bold above their levels."""
    names = [one_line(row.level if isinstance(row, Comparison) else row, 44) for row in rows]
    axes.set_yticks(range(len(rows)), names)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("normal" if isinstance(row, Comparison) else "bold")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")


def _legend(found: Effects) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=RULE, marker="o", lw=2.2, label="difference, 95 % interval"),
        Line2D([], [], color=RULE, marker="|", ms=9, lw=0, label="of each seed"),
        Patch(color=ABSENT, label="true differences in here are easily missed"),
    ]
    if found.delta is not None:
        band = f"declared not to matter (±{words.margin(found)})"
        handles.append(Patch(facecolor=HUES[2], alpha=0.2, label=band))
    return handles


def _caption(results: Results, found: Effects, shown: int, known: int) -> str:
    said = [
        "Differences from the baseline, with verdicts.",
        "The line is the 95 % interval of one comparison alone, a tick the difference of one seed.",
    ]
    if found.correction != "none":
        said.append(f"Verdicts are corrected for {found.tested} comparisons.")
    if found.tested:
        said.append(
            "Of true differences inside the grey bar, such a design misses more than one in five."
        )
    if shown < known:
        said.append(f"The first {shown} of {known} comparisons.")
    return " ".join(said)
