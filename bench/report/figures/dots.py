"""Dot plots: every run is a dot, by factor level or by arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.figures import style
from bench.report.figures.axes import beside, name_rows
from bench.report.figures.choice import left_out
from bench.report.figures.lettering import handle, one_line, text_width
from bench.store.frame import DONE


@style.styled
def factors(results: Analysis) -> Figure | None:
    """Draw every trial as a dot, a row for each level of each factor."""
    shown = {name: results.by_level(name) for name in results.factors}
    if not shown or not results.done[results.metric].count():
        return None
    heights = [_strip_height(levels) for levels in shown.values()]
    named = results.grid if 1 < len(results.grid) <= 4 * len(style.HUES) and len(shown) > 1 else ()
    columns = _legend_columns(named)
    height = sum(heights) + 0.5 * len(heights) + 0.17 * math.ceil(len(named) / columns) + 0.4
    figure = Figure(figsize=(style.WIDTH, height), layout="constrained")
    ratios = {"height_ratios": heights}
    rows = figure.subplots(len(shown), squeeze=False, sharex=True, gridspec_kw=ratios)
    for axes, (name, levels) in zip(rows[:, 0], shown.items(), strict=True):
        _strip(axes, results, levels, baseline=results.baseline.get(name))
        axes.set_title(one_line(name))
    rows[-1, 0].set_xlabel(metrics.heading(results.metric))
    if named:
        styles = style.arm_styles(results.arms)
        handles = [handle(label, styles[label], line=False) for label in named]
        figure.legend(
            handles=handles, loc="outside lower left", ncols=columns, fontsize=style.SMALL
        )
    unnamed = len(results.arms) <= style.MOST_ARMS and len(shown) > 1 and not named
    figure.set_label(
        f"Every trial by factor. {_reading(results)}"
        + " Colours are those of the figure by arm." * unnamed
    )
    return figure


@style.styled
def arms(results: Analysis) -> Figure | None:
    """Draw every trial as a dot, a row for each arm; None where ``factors`` shows the same."""
    same = len(results.factors) == 1 and len(results.grid) == len(results.arms)
    if same or not results.done[results.metric].count():
        return None
    labels = list(results.arms)[: style.MOST_ARMS]
    figure = Figure(figsize=(style.WIDTH, 0.24 * len(labels) + 0.8), layout="constrained")
    axes = figure.subplots()
    _strip(axes, results, {arm: (arm,) for arm in labels}, baseline=results.baseline_arm)
    axes.set_xlabel(metrics.heading(results.metric))
    figure.set_label(f"Every trial by arm. {_reading(results)}{left_out(results, labels)}")
    return figure


def _strip(
    axes: Axes, results: Analysis, rows: Mapping[str, Sequence[str]], *, baseline: str | None
) -> None:
    """Draw rows of dots: row name → labels of the arms whose trials it holds."""
    groups = dict(iter(results.trials.groupby("arm", sort=False)))
    styles = style.arm_styles(results.arms)
    for y, (name, labels) in enumerate(rows.items()):
        lane = 0.66 / max(1, len(labels))  # height of what belongs to one arm
        middles = [y + lane * (i + 0.5 - len(labels) / 2) for i in range(len(labels))]
        dots = [
            _dots(groups[label][results.metric].dropna(), middle, lane)
            for label, middle in zip(labels, middles, strict=True)
        ]
        if len(labels) > style.MOST_ARMS:  # more than colours could tell apart
            _plot(
                axes,
                np.concatenate(dots, axis=1),
                style.ArmStyle(style.RULE, "o", "solid"),
                size=3.5,
            )
        else:
            for label, places in zip(labels, dots, strict=True):
                _plot(axes, places, styles[label], size=6)
        trials = results.trials[results.trials["arm"].isin(labels)]
        values = trials[results.metric].dropna()
        if len(values):
            axes.plot([values.mean()] * 2, [y - 0.36, y + 0.36], color=style.INK, lw=2.2, zorder=3)
        if len(values) and name == baseline:
            axes.axvline(values.mean(), color=style.RULE, lw=1.0, linestyle=(0, (4, 3)), zorder=1)
        without = int((trials["status"] != DONE).sum())
        beside(axes, y, f"n = {len(values)}" + f", {without} without result" * bool(without))
    name_rows(axes, [one_line(name, 44) + " (baseline)" * (name == baseline) for name in rows])
    axes.set_ylim(len(rows) - 0.45, -0.55)


def _dots(values: pd.Series[float], middle: float, height: float) -> NDArray[np.float64]:
    """Return (2, n) places of an arm's seeds, one below the other so that none hides another."""
    down = middle + 0.4 * height * np.linspace(-1, 1, len(values) + 2)[1:-1]
    return np.stack([values.to_numpy("float64"), down])


def _plot(axes: Axes, places: NDArray[np.float64], arm: style.ArmStyle, *, size: float) -> None:
    look: dict[str, Any] = {"marker": arm.marker, "color": arm.colour, "ms": size}
    axes.plot(*places, ls="none", mec=style.PAPER, mew=0.5, zorder=4, **look)


def _strip_height(levels: Mapping[str, Sequence[str]]) -> float:
    """Return inches: a lane for each arm of the fullest level, within reason."""
    fullest = max(len(labels) for labels in levels.values())
    return len(levels) * min(1.6, max(0.4, 0.08 * fullest))


def _legend_columns(labels: Sequence[str]) -> int:
    widest = max((text_width(one_line(label, 44)) for label in labels), default=0.0)
    return max(1, min(len(labels), int(style.WIDTH / (0.55 + widest))))


def _reading(results: Analysis) -> str:
    dashed = "; the dashed line is the mean of the baseline" * bool(results.baseline)
    return f"Each dot is one {results.measurement.replicate}, a bar the mean of its row{dashed}."
