"""The original study's score beside true mean IoU, over the epochs."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from bench.analysis.analysis import Analysis
from bench.report.figures.choice import left_out
from bench.report.figures.lettering import wrapped
from bench.report.figures.style import FAINT, HUES, SMALL, WIDTH, styled
from bench.store.frame import study_history

_COLUMNS, _MOST_ARMS = 3, 18
_STUDY, _TRUE = HUES[1], HUES[0]


@styled
def original_study(results: Analysis) -> Figure | None:
    """Draw both scores of each arm, every run and the mean; None without the study's."""
    history = study_history(results)
    if history.empty:
        return None
    measured = set(history["arm"])
    labels = [label for label in results.arms if label in measured][:_MOST_ARMS]
    rows = math.ceil(len(labels) / _COLUMNS)
    columns = min(len(labels), _COLUMNS)
    figure = Figure(figsize=(WIDTH, 2.6 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, label in zip(grid.flat, labels, strict=False):
        _arm(axes, label, history[history["arm"] == label])
    for axes in grid.flat[len(labels) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    figure.legend(
        handles=[
            Line2D([], [], color=_STUDY, lw=2, label="the original study's score"),
            Patch(facecolor=FAINT, label="its share from absent classes"),
            Line2D([], [], color=_TRUE, lw=2, linestyle="dashed", label="true mean IoU"),
        ],
        loc="outside lower center",
        ncols=3,
    )
    figure.set_label(
        "The original study's score and true mIoU. Thick lines are means over the seeds of an arm, "
        "thin ones its runs. Shaded: the part of the mean that comes from classes that neither "
        "occur in a batch nor get any probability in it." + left_out(results, labels)
    )
    return figure


def _arm(axes: Axes, label: str, history: pd.DataFrame) -> None:
    by_epoch = history.groupby("epoch")
    runs = by_epoch.size()
    means = by_epoch.mean(numeric_only=True)[runs == runs.max()]  # as far as all of them trained
    epochs = means.index.to_numpy("float64")
    for _, run in history.groupby("seed"):
        axes.plot(run["epoch"], run["study_iou"], color=_STUDY, lw=0.8, alpha=0.6)
        axes.plot(run["epoch"], run["mean_iou"], color=_TRUE, lw=0.8, alpha=0.6)
    axes.fill_between(epochs, 0, means["study_iou_absent"].to_numpy("float64"), color=FAINT, lw=0)
    axes.plot(epochs, means["study_iou"], color=_STUDY, lw=2)
    axes.plot(epochs, means["mean_iou"], color=_TRUE, lw=2, linestyle="dashed")
    axes.set_title(wrapped(label, 0.75 * WIDTH / _COLUMNS), fontsize=SMALL)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
