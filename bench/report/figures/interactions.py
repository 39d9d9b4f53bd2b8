"""Interactions: the mean score at each pair of levels of two factors."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.analysis.effects.factorial import Interaction
from bench.report.content import numbers
from bench.report.figures.axes import legend_beside, logarithmic
from bench.report.figures.lettering import legend_text, one_line
from bench.report.figures.style import PAPER, SMALL, WIDTH, arm_styles, styled

_COLUMNS = 2
_MOST = 12  # pairs of factors that are drawn
_SPREAD = 0.36  # of the distance between levels, over which the lines of a panel are laid apart


@styled
def interactions(results: Analysis) -> Figure | None:
    """Draw a panel for each pair of factors of a full factorial; None for other designs."""
    pairs = results.effects.interactions
    if not pairs or not results.done[results.metric].count():
        return None
    panels = [(pair, *_sides(results, pair)) for pair in pairs[:_MOST]]
    if len(pairs) == 1:  # shown from both sides
        panels += [(pair, along, across) for pair, across, along in panels]
    rows = math.ceil(len(panels) / _COLUMNS)
    figure = Figure(figsize=(WIDTH, 2.9 * rows + 0.1), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharey=True)
    for axes, (pair, across, along) in zip(grid.flat, panels, strict=False):
        _panel(axes, results, across, along, pair.p)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(metrics.heading(results.metric))
    scale = results.scale
    if scale.logarithmic:
        means = [value for axes in grid.flat for line in axes.lines for value in line.get_ydata()]
        logarithmic(grid[0, 0], means)
    figure.set_label(
        f"Interactions. {'Geometric means' if scale.logarithmic else 'Means'} over the arms that "
        f"have both levels, with 95 % intervals over {results.measurement.replicate}s. Lines that "
        "are not parallel suggest an interaction; its p value is above."
        + " The axis is logarithmic: equal ratios are equally long." * scale.logarithmic
        + f" The first {_MOST} of {len(pairs)} pairs." * (len(pairs) > _MOST)
    )
    return figure


def _sides(results: Analysis, pair: Interaction) -> tuple[str, str]:
    """Return the factor with more levels, to lie along x, and the one whose levels are lines."""
    first, second = pair.factors
    if len(results.factors[first]) >= len(results.factors[second]):
        return first, second
    return second, first


def _panel(axes: Axes, results: Analysis, across: str, along: str, p: float) -> None:
    """Draw the levels of one factor along x, and a line for each level of the other."""
    means = results.cell_means(across, along)
    back = results.scale.back
    lines, places = results.factors[along], np.arange(len(results.factors[across]))
    styles = arm_styles(lines)
    # Each line lies beside its level, so that intervals do not hide each other.
    shifts = _SPREAD * ((np.arange(len(lines)) + 0.5) / len(lines) - 0.5)
    for level, shift in zip(lines, shifts, strict=True):
        samples = [means[other, level] for other in results.factors[across]]
        style = styles[level]
        mean = np.array([back(sample.mean) for sample in samples])
        ends = np.array([[back(one.low), back(one.high)] for one in samples]).T
        axes.errorbar(
            places + shift, mean, np.nan_to_num(np.abs(ends - mean)), color=style.colour,
            linestyle=style.dash, marker=style.marker, markeredgecolor=PAPER, lw=1.6,
            elinewidth=1.0, label=legend_text(one_line(level, 16)),
        )  # fmt: skip
    letters = max(3, 34 // len(places))  # that fit below one of so many levels
    axes.set_xticks(places, [one_line(name, letters) for name in results.factors[across]])
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.set_xlabel(one_line(across, 40))
    axes.grid(visible=False, axis="x")
    if not math.isnan(p):
        axes.set_title(f"interaction: p {numbers.equals(p)}", fontsize=SMALL, fontweight="normal")
    legend_beside(axes, axes.containers, one_line(along.rpartition(".")[2], 20))
