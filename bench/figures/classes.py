"""The map of IoU by arm and class."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bench.figures.style import (
    ABSENT,
    MOST_ARMS,
    WIDTH,
    left_out,
    one_line,
    readable_on,
    styled,
)
from bench.frame import Results


@styled
def classes(results: Results) -> Figure | None:
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
    mesh = axes.pcolormesh(values, cmap="cividis", vmin=0.0, vmax=1.0, edgecolor="white", lw=0.8)
    for (row, column), value in np.ndenumerate(values):
        if math.isnan(value):
            axes.add_patch(_absent(column, row))
        else:
            colour = readable_on(mesh.cmap(value))
            number = f"{100 * value:.0f}"
            axes.text(
                column + 0.5, row + 0.5, number, ha="center", va="center", color=colour
            ).set_in_layout(False)  # asking every number for its size takes seconds
    axes.set_xticks(np.arange(len(names)) + 0.5, [one_line(name, 24) for name in names])
    axes.set_yticks(np.arange(len(labels)) + 0.5, [one_line(label, 44) for label in labels])
    axes.tick_params(length=0)
    axes.tick_params(axis="x", labelrotation=45, labeltop=True, labelbottom=False)
    for name in axes.get_xticklabels():
        name.set(ha="left", rotation_mode="anchor")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    figure.colorbar(mesh, ax=axes, label="IoU", fraction=0.03, pad=0.01)
    figure.set_label(
        "IoU by class. Mean over seeds, × 100. Hatched: no IoU, because the class neither "
        "occurs nor is predicted, or because no trial of the arm finished."
        + left_out(results, labels)
    )
    return figure


def _absent(column: int, row: int) -> Rectangle:
    return Rectangle(
        (column, row), 1, 1, facecolor=ABSENT, edgecolor="#a0a0a0", hatch="////", linewidth=0.0
    )
