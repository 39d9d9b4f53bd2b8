"""The map of IoU by arm and class."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.analysis.analysis import Analysis
from bench.report.figures.style import (
    ABSENT,
    FRAME,
    GRID,
    MOST_ARMS,
    WIDTH,
    ink_on_tint,
    left_out,
    one_line,
    styled,
    tint,
)


@styled
def classes(results: Analysis) -> Figure | None:
    """Draw a map of IoU, arms by classes; hatched where a class has none."""
    if "iou" not in results.classes or not results.palette:
        return None
    labels, names = list(results.arms)[:MOST_ARMS], list(results.palette)
    means = results.classes.groupby(["arm", "class"], sort=False)["iou"].mean()
    wanted = pd.MultiIndex.from_product([labels, names])
    values = means.reindex(wanted).to_numpy("float64").reshape(len(labels), len(names))
    height = 0.27 * len(labels) + 0.4 + 0.06 * max(len(one_line(name, 24)) for name in names)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    draw_cells(axes, values)
    for (row, column), value in np.ndenumerate(values):
        if math.isnan(value):
            axes.add_patch(absent(column, row))
        else:
            axes.text(
                column + 0.5,
                row + 0.5,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                color=ink_on_tint(value),
            ).set_in_layout(False)  # asking every number for its size takes seconds
    axes.set_xticks(np.arange(len(names)) + 0.5, [one_line(name, 24) for name in names])
    axes.set_yticks(np.arange(len(labels)) + 0.5, [one_line(label, 44) for label in labels])
    axes.tick_params(length=0)
    axes.tick_params(axis="x", labelrotation=45, labeltop=True, labelbottom=False)
    for name in axes.get_xticklabels():
        name.set(ha="left", rotation_mode="anchor")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    figure.set_label(
        "IoU by class. Mean over seeds, × 100. Hatched: no IoU, because the class neither "
        "occurs nor is predicted, or because no trial of the arm finished."
        + left_out(results, labels)
    )
    return figure


def draw_cells(axes: Axes, shares: NDArray[np.float64]) -> None:
    """Draw a map of shares in [0, 1]: the more, the more colour; nothing where there is none."""
    rows, columns = shares.shape
    colours = ListedColormap([tint(step / 255) for step in range(256)])
    masked = np.ma.masked_invalid(shares)
    axes.pcolormesh(masked, cmap=colours, vmin=0.0, vmax=1.0, edgecolor=GRID, linewidth=0.6)
    axes.set(xlim=(0, columns), ylim=(rows, 0))


def absent(column: int, row: int, columns: int = 1) -> Rectangle:
    """Return what stands in place of cells that have no value."""
    return Rectangle(
        (column, row), columns, 1, facecolor=ABSENT, edgecolor=FRAME, hatch="////", linewidth=0.0
    )
