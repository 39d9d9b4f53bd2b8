"""Every comparison with the baseline on one axis: effect, interval, verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bench import metrics
from bench.analysis.analysis import Analysis, Effects
from bench.analysis.effects.comparisons import Comparison
from bench.analysis.stats.verdicts import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE
from bench.report.content import words
from bench.report.figures import style
from bench.report.figures.axes import beside, name_rows, plain_numbers
from bench.report.figures.lettering import one_line

_ROW = 0.34  # inches
# Colour and shape of the dot; the verdict stands beside it in words as well.
_LOOKS = {
    BETTER: (style.HUES[0], "^"),
    WORSE: (style.HUES[1], "v"),
    EQUIVALENT: (style.HUES[2], "s"),
    INCONCLUSIVE: (style.RULE, "o"),
}


@style.styled
def effects(results: Analysis) -> Figure | None:
    """Draw a row for each comparison; None where no difference is known."""
    found, scale = results.effects, results.scale
    known = [one for one in found.comparisons if not math.isnan(one.contrast.difference)]
    shown = known[: style.MOST_ARMS]
    if not shown:
        return None
    rows = _rows(shown)
    figure = Figure(figsize=(style.WIDTH, _ROW * len(rows) + 1.0), layout="constrained")
    axes = figure.subplots()
    if scale.logarithmic:
        axes.set_xscale("log")
    for y, row in enumerate(rows):
        if isinstance(row, Comparison):
            _comparison(axes, found, row, y)
    axes.axvline(scale.neutral, color=style.INK, lw=1.0, zorder=2)
    if found.delta is not None:
        band = scale.shown(-found.delta), scale.shown(found.delta)
        axes.axvspan(*band, color=style.HUES[2], alpha=0.13, lw=0, zorder=0)
    _name_rows(axes, rows)
    axes.set_xlim(*map(scale.shown, _limits(found, shown)))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    if scale.logarithmic:
        plain_numbers(axes.xaxis)
    unit = f", {words.unit(scale)}" if words.unit(scale) else ""
    axes.set_xlabel(f"{metrics.label(results.metric)}: {_compared(found)}{unit}")
    handles = _legend(found, results.measurement.replicate)
    figure.legend(
        handles=handles, loc="outside lower left", ncols=5, fontsize=style.SMALL, handlelength=1.6
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
    contrast, shown = one.contrast, found.scale.shown
    if _has_bar(one):
        low, high = shown(-one.detectable), shown(one.detectable)
        axes.barh(y, high - low, left=low, height=0.62, color=style.ABSENT, lw=0, zorder=1)
    each = [shown(difference) for difference in one.differences]
    axes.plot(each, [y] * len(each), "|", color=colour, ms=9, mew=1.0, alpha=0.7, zorder=3)
    if not math.isnan(one.low):
        ends = [shown(one.low), shown(one.high)]
        axes.plot(ends, [y, y], color=colour, lw=2.2, solid_capstyle="butt", zorder=3)
    dot: dict[str, Any] = {"color": colour, "ms": 8, "mec": style.PAPER, "mew": 0.8, "zorder": 4}
    axes.plot(shown(contrast.difference), y, marker, **dot)
    beside(axes, y, words.verdict(found, one), gap=8, bold=one.verdict != INCONCLUSIVE)


def _limits(found: Effects, shown: Sequence[Comparison]) -> tuple[float, float]:
    """Return limits that hold what was measured; a wider grey bar runs out of the frame."""
    seen = [0.0, *((found.delta, -found.delta) if found.delta else ())]
    for one in shown:
        ends = one.low, one.contrast.difference, one.high, *one.differences
        seen += (end for end in ends if not math.isnan(end))
    low, high = min(seen), max(seen)
    reach = max((one.detectable for one in shown if _has_bar(one)), default=0.0)
    margin = 0.25 * (high - low) or 0.01
    return (
        max(low - margin, min(low, -reach) - 0.2 * margin),
        min(high + margin, max(high, reach) + 0.2 * margin),
    )


def _has_bar(one: Comparison) -> bool:
    return not math.isnan(one.detectable)


def _name_rows(axes: Axes, rows: Sequence[Comparison | str]) -> None:
    """Write levels beside their rows, and factors in bold above their levels."""
    names = [one_line(row.level if isinstance(row, Comparison) else row, 44) for row in rows]
    name_rows(axes, names)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("normal" if isinstance(row, Comparison) else "bold")


def _compared(found: Effects, plural: str = "") -> str:
    noun = f"{words.noun(found.scale)}{plural}"
    return f"{noun} {'to' if found.scale.logarithmic else 'from'} the baseline"


def _legend(found: Effects, replicate: str) -> list[Line2D | Patch]:
    noun = words.noun(found.scale)
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=style.RULE, marker="o", lw=2.2, label=f"{noun}, 95 % interval"),
        Line2D([], [], color=style.RULE, marker="|", ms=9, lw=0, label=f"of each {replicate}"),
    ]
    if any(map(_has_bar, found.comparisons)):
        handles.append(Patch(color=style.ABSENT, label="less than 80 % power"))
    if found.delta is not None:
        band = f"declared not to matter ({words.margin(found)})"
        handles.append(Patch(facecolor=style.HUES[2], alpha=0.2, label=band))
    return handles


def _caption(results: Analysis, found: Effects, shown: int, known: int) -> str:
    noun = words.noun(found.scale)
    several = found.correction != "none"
    simultaneous = f", simultaneous over {found.tested} comparisons" if several else ""
    said = [
        f"{_compared(found, 's').capitalize()}.",
        f"A line is the 95 % interval{simultaneous},",
        f"a tick the {noun} of one {results.measurement.replicate}.",
    ]
    if any(map(_has_bar, found.comparisons)):
        said.append(f"A true {noun} inside the grey bar is detected with less than 80 % power.")
    if shown < known:
        said.append(f"The first {shown} of {known} comparisons.")
    return " ".join(said)
