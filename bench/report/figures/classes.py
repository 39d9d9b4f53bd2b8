"""The map of IoU by arm and class."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from bench.analysis.analysis import Analysis
from bench.report.figures.choice import left_out
from bench.report.figures.lettering import one_line
from bench.report.figures.matrix import draw_shares
from bench.report.figures.style import MOST_ARMS, WIDTH, styled


@styled
def classes(results: Analysis) -> Figure | None:
    """Draw a map of IoU, arms by classes; hatched where a class has none."""
    if "iou" not in results.classes or not results.palette:
        return None
    labels, names = list(results.arms)[:MOST_ARMS], list(results.palette)
    means = results.classes.groupby(["arm", "class"], sort=False)["iou"].mean()
    cells = pd.MultiIndex.from_product([labels, names])
    values = means.reindex(cells).to_numpy("float64").reshape(len(labels), len(names))
    columns = [one_line(name, 24) for name in names]
    height = 0.27 * len(labels) + 0.4 + 0.06 * max(map(len, columns))
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    draw_shares(axes, values, [one_line(label, 44) for label in labels], columns)
    for name in axes.get_xticklabels():
        name.set(rotation=45, ha="left", rotation_mode="anchor")
    axes.spines[:].set_visible(False)
    figure.set_label(
        "IoU by class. Mean over seeds, × 100. Hatched: no IoU, because the class neither "
        "occurs nor is predicted, or because no trial of the arm finished."
        + left_out(results, labels)
    )
    return figure
