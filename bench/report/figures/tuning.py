"""Score against what was tuned: a panel for each arm, a dot for each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.analysis.effects.tuning import Search
from bench.report.figures import style
from bench.report.figures.axes import plain_numbers
from bench.report.figures.choice import left_out
from bench.report.figures.lettering import wrapped
from bench.store.frame import DONE, NOT_RUN

_ACROSS, _MOST = 3, 12  # panels in a row, and at all
_HEIGHT = 2.3  # inches, of a row


@style.styled
def tuning(results: Analysis) -> Figure | None:
    """Draw the scores of all tuning trials; None where nothing was tuned, or nothing finished.

    Of several tuned settings each has rows of its own, and the lines through means are left out.
    """
    searches = results.searches[:_MOST]
    if not any(np.isfinite(one.scores).any() for one in searches):
        return None
    settings = [name for name, _ in searches[0].tried[0]]
    across = min(_ACROSS, len(searches))
    rows = math.ceil(len(searches) / across)
    figure = Figure((style.WIDTH, _HEIGHT * rows * len(settings) + 0.5), layout="constrained")
    grid = figure.subplots(
        rows * len(settings), across, squeeze=False, sharey=True, sharex=len(settings) == 1
    )
    looks = style.arm_styles(results.arms)
    finite = np.concatenate([one.scores[np.isfinite(one.scores)] for one in searches])
    bottom = _limits(grid[0, 0], finite, higher=results.plan.higher_is_better)
    for index, axes in enumerate(grid.flat):
        which, place = divmod(index, rows * across)
        if place >= len(searches):
            axes.set_visible(False)
            continue
        one = searches[place]
        _panel(axes, one, which, looks[one.arm], bottom, lines=len(settings) == 1)
        axes.set_title(wrapped(one.arm, 2.8, lines=1))
        axes.set_xlabel(settings[which])
        axes.tick_params(labelbottom=True)
        if place % across == 0:
            axes.set_ylabel(metrics.heading(results.metric))
    _legend(figure, searches, lines=len(settings) == 1)
    figure.set_label(
        "Score by what was tuned. Each dot is a run with a seed of tuning, which is not reported."
        + " The line joins means, in which a run without a result counts as the worst score."
        * (len(settings) == 1)
        + left_out(results, [one.arm for one in searches])
    )
    return figure


def _panel(
    axes: Axes, one: Search, which: int, look: style.ArmStyle, bottom: float, *, lines: bool
) -> None:
    """Draw an arm's runs over one of the tuned settings."""
    at = np.array([values[which][1] for values in one.tried])
    dots: dict[str, Any] = {"ls": "none", "marker": look.marker, "color": look.colour, "ms": 5.5}
    axes.plot(np.repeat(at, len(one.seeds)), one.scores.ravel(), mec=style.PAPER, mew=0.5, **dots)
    if lines:
        axes.plot(at, one.means, color=look.colour, lw=1.2, zorder=1.5)
    failed = [[status not in (DONE, NOT_RUN) for status in row] for row in one.statuses]
    for value, count in zip(at, np.sum(failed, axis=1), strict=True):
        if count:
            axes.plot([value], [bottom], "x", color=style.INK, ms=7, mew=1.8, clip_on=False)
            words = f"{count}/{len(one.seeds)}"
            place: dict[str, Any] = {"textcoords": "offset points", "ha": "center"}
            axes.annotate(words, (value, bottom), (0, 6), size=style.SMALL, **place)
    if one.default is not None:
        axes.axvline(one.default[which][1], color=style.RULE, lw=1.2, ls=(0, (4, 3)), zorder=1)
    for chosen in dict.fromkeys(one.chosen):
        axes.axvline(chosen[which][1], color=look.colour, lw=4, alpha=0.25, zorder=0.9)
    if min(at) > 0 and len(at) > 1:
        axes.set_xscale("log")
        axes.set_xlim(min(at) / 1.4, max(at) * 1.4)
        plain_numbers(axes.xaxis)
        axes.tick_params(axis="x", labelsize=style.SMALL, rotation=30)


def _limits(axes: Axes, finite: Any, *, higher: bool) -> float:
    """Leave space at the worse end of y for runs without a result; return where they are drawn."""
    low, high = float(finite.min()), float(finite.max())
    margin = 0.08 * (high - low) or 0.02
    if higher:
        axes.set_ylim(low - 3 * margin, high + margin)
        return low - 2.2 * margin
    axes.set_ylim(low - margin, high + 3 * margin)
    return high + 1.6 * margin


def _legend(figure: Figure, searches: Sequence[Search], *, lines: bool) -> None:
    def handle(label: str, **look: Any) -> Line2D:
        return Line2D([], [], label=label, **look)

    found = [handle("one run", ls="none", marker="o", color=style.RULE)]
    if lines:
        found.append(handle("mean over seeds", color=style.RULE, lw=1.2))
    if any(one.chosen for one in searches):
        found.append(handle("chosen", color=style.RULE, lw=4, alpha=0.4))
    if any(one.default for one in searches):
        found.append(handle("default", color=style.RULE, lw=1.2, ls=(0, (4, 3))))
    if any(s not in (DONE, NOT_RUN) for one in searches for row in one.statuses for s in row):
        look: dict[str, Any] = {"ls": "none", "marker": "x", "color": style.INK, "mew": 1.8}
        found.append(handle("runs without a result", **look))
    figure.legend(handles=found, loc="outside lower left", ncols=len(found), fontsize=style.SMALL)
