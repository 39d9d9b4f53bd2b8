"""Dot plots: every run is a dot, by factor level or by arm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.report.content.words import KINDS
from bench.report.figures.axes import beside, name_rows
from bench.report.figures.style import (
    HUES,
    INK,
    MOST_ARMS,
    PAPER,
    RULE,
    SMALL,
    WIDTH,
    ArmStyle,
    arm_styles,
    handle,
    left_out,
    one_line,
    styled,
    text_width,
)
from bench.store.frame import DONE


@styled
def factors(results: Analysis) -> Figure | None:
    """Draw every trial as a dot, a row for each level of each factor."""
    shown = {name: results.by_level(name) for name in results.factors}
    if not shown or not results.done[results.metric].count():
        return None
    heights = [_strip_height(levels) for levels in shown.values()]
    named = results.grid if 1 < len(results.grid) <= 4 * len(HUES) and len(shown) > 1 else ()
    columns = _legend_columns(named)
    legend_height = 0.17 * math.ceil(len(named) / columns)
    figure = Figure(
        figsize=(WIDTH, sum(heights) + 0.5 * len(heights) + legend_height + 0.4),
        layout="constrained",
    )
    rows = figure.subplots(
        len(shown), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights}
    )
    for axes, (name, levels) in zip(rows[:, 0], shown.items(), strict=True):
        _strip(axes, results, levels, baseline=results.baseline.get(name))
        axes.set_title(one_line(name))
    rows[-1, 0].set_xlabel(metrics.label(results.metric))
    if named:
        styles = arm_styles(results.arms)
        handles = [handle(label, styles[label], line=False) for label in named]
        figure.legend(handles=handles, loc="outside lower left", ncols=columns, fontsize=SMALL)
    coloured = len(results.arms) <= MOST_ARMS
    figure.set_label(
        f"Every trial by factor. A dot is {KINDS[results.measurement.name].dot}, a bar the mean of its row"
        + _baseline_words(results)
        + (" Colours as in the figure by arm." * (coloured and len(shown) > 1 and not named))
    )
    return figure


@styled
def arms(results: Analysis) -> Figure | None:
    """Draw every trial as a dot, a row for each arm; None where ``factors`` shows the same."""
    same = len(results.factors) == 1 and len(results.grid) == len(results.arms)
    if same or not results.done[results.metric].count():
        return None
    labels = list(results.arms)[:MOST_ARMS]
    figure = Figure(figsize=(WIDTH, 0.24 * len(labels) + 0.8), layout="constrained")
    axes = figure.subplots()
    rows = {label: (label,) for label in labels}
    _strip(axes, results, rows, baseline=results.baseline_arm)
    axes.set_xlabel(metrics.label(results.metric))
    figure.set_label(
        f"Every trial by arm. A dot is {KINDS[results.measurement.name].dot}, a bar the mean of its row"
        + _baseline_words(results)
        + left_out(results, labels)
    )
    return figure


def _strip(
    axes: Axes,
    results: Analysis,
    rows: Mapping[str, Sequence[str]],
    *,
    baseline: str | None,
) -> None:
    """Draw rows of dots: row name → labels of the arms whose trials it holds."""
    groups = dict(iter(results.trials.groupby("arm", sort=False)))
    styles = arm_styles(results.arms)
    for y, (name, labels) in enumerate(rows.items()):
        lane = 0.66 / max(1, len(labels))  # height of what belongs to one arm
        middles = [y + lane * (i + 0.5 - len(labels) / 2) for i in range(len(labels))]
        dots = [
            _dots(groups[label][results.metric].dropna(), middle, lane)
            for label, middle in zip(labels, middles, strict=True)
        ]
        if len(labels) > MOST_ARMS:  # more than colours could tell apart
            _plot(axes, np.concatenate(dots, axis=1), ArmStyle(RULE, "o", "solid"), size=3.5)
        else:
            for label, places in zip(labels, dots, strict=True):
                _plot(axes, places, styles[label], size=6)
        trials = results.trials[results.trials["arm"].isin(labels)]
        values = trials[results.metric].dropna()
        if len(values):
            axes.plot([values.mean()] * 2, [y - 0.36, y + 0.36], color=INK, lw=2.2, zorder=3)
        if len(values) and name == baseline:
            axes.axvline(values.mean(), color=RULE, lw=1.0, linestyle=(0, (4, 3)), zorder=1)
        without = int((trials["status"] != DONE).sum())
        beside(axes, y, f"n = {len(values)}" + f", {without} without result" * bool(without))
    name_rows(axes, [one_line(name, 44) + " (baseline)" * (name == baseline) for name in rows])
    axes.set_ylim(len(rows) - 0.45, -0.55)


def _dots(values: pd.Series[float], middle: float, height: float) -> NDArray[np.float64]:
    """Return (2, n) places of an arm's seeds, one below the other so that none hides another."""
    down = middle + 0.4 * height * np.linspace(-1, 1, len(values) + 2)[1:-1]
    return np.stack([values.to_numpy("float64"), down])


def _plot(axes: Axes, places: NDArray[np.float64], style: ArmStyle, *, size: float) -> None:
    axes.plot(
        *places,
        linestyle="none",
        marker=style.marker,
        color=style.colour,
        markeredgecolor=PAPER,
        markeredgewidth=0.5,
        markersize=size,
        zorder=4,
    )


def _strip_height(levels: Mapping[str, Sequence[str]]) -> float:
    """Return inches: room for a lane for each arm of the fullest level, within reason."""
    fullest = max(len(labels) for labels in levels.values())
    return len(levels) * min(1.6, max(0.4, 0.08 * fullest))


def _legend_columns(labels: Sequence[str]) -> int:
    widest = max((text_width(one_line(label, 44)) for label in labels), default=0.0)
    return max(1, min(len(labels), int(WIDTH / (0.55 + widest))))


def _baseline_words(results: Analysis) -> str:
    return ", the dashed line the mean of the baseline." if results.baseline else "."
