"""Which class is taken for which: the confusion matrices of the baseline and of the best arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.analysis.analysis import Analysis
from bench.report.figures.classes import absent, draw_cells
from bench.report.figures.style import (
    GRID,
    RULE,
    SMALL,
    WIDTH,
    ink_on_tint,
    one_line,
    styled,
    text_width,
    wrapped,
)

MOST_CLASSES = 54  # more rows than that cannot be told apart in a figure of this width
_BESIDE = 22  # up to so many classes two matrices fit beside each other
_LETTERS = 16  # of a class name


@styled
def confusion(results: Analysis) -> Figure | None:
    """Draw how the pixels of each class were labelled, in the baseline and in the best arm."""
    chosen = _chosen(results)
    if not chosen:
        return None
    first = next(iter(chosen))
    names = _classes(results, first)
    chosen = [arm for arm in chosen if _classes(results, arm) == names]
    summed = {arm: _summed(results, arm) for arm in chosen}
    kept = _kept(sum(summed.values()))  # type: ignore[arg-type]
    names = [one_line(names[label], _LETTERS) for label in kept]
    across = len(chosen) if len(kept) <= _BESIDE else 1
    down = len(chosen) // across
    cell = min(0.42, (WIDTH - 1.6) / across / len(kept))
    height = down * (cell * len(kept) + max(map(text_width, names)) + 0.75)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).flat
    for axes, arm in zip(grid, chosen, strict=True):
        _draw(axes, summed[arm][np.ix_(kept, kept)], summed[arm].sum(1)[kept], names)
        baseline = " (baseline)" * (arm == results.baseline_arm)
        axes.set_title(wrapped(arm + baseline, (WIDTH - 2.0) / across, lines=2))
        axes.set_xlabel("predicted")
    for axes in grid[::across]:
        axes.set_ylabel("true")
    figure.set_label(_caption(results, chosen, len(kept), summed[first].shape[0]))
    return figure


def best_arm(results: Analysis) -> str | None:
    """Return the arm with the highest mean score, if a trial has finished."""
    means = results.done.groupby("arm", sort=False)[results.metric].mean().dropna()
    return None if means.empty else str(means.idxmax())


def _chosen(results: Analysis) -> list[str]:
    """Return the baseline and the best arm, as far as their matrices are stored."""
    counted = set(results.done[results.done["key"].isin(results.counts)]["arm"])
    wanted = dict.fromkeys((results.baseline_arm, best_arm(results)))
    return [arm for arm in wanted if arm is not None and arm in counted]


def _classes(results: Analysis, arm: str) -> list[str]:
    keys = results.done[results.done["arm"] == arm]["key"]
    found = (results.records[key].accuracy for key in keys)
    return next(list(result.classes) for result in found if result is not None)


def _summed(results: Analysis, arm: str) -> NDArray[np.int64]:
    """Return the (C, C) matrix of an arm, added up over images and seeds."""
    keys = results.done[results.done["arm"] == arm]["key"]
    counts = [results.counts[key] for key in keys if key in results.counts]
    total: NDArray[np.int64] = np.sum([each.total() for each in counts], axis=0, dtype=np.int64)
    return total


def _kept(matrix: NDArray[np.int64]) -> list[int]:
    """Return the labels that are drawn: of more than fit, those with most pixels."""
    largest = np.argsort(-matrix.sum(1), kind="stable")[:MOST_CLASSES]
    return sorted(largest.tolist())


def _draw(
    axes: Axes, matrix: NDArray[np.int64], truth: NDArray[np.int64], names: Sequence[str]
) -> None:
    size = len(names)
    shares = matrix / np.where(truth > 0, truth, 1)[:, None]
    draw_cells(axes, shares)
    for row in np.flatnonzero(truth == 0):
        axes.add_patch(absent(0, int(row), size))
    for row, column in np.argwhere(shares * (truth > 0)[:, None] >= 0.005):
        share = float(shares[row, column])
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{100 * share:.0f}",
            ha="center",
            va="center",
            size=SMALL,
            color=ink_on_tint(share),
        ).set_in_layout(False)
    for place in np.flatnonzero(truth).tolist():  # where the right answers are
        axes.add_patch(Rectangle((place, place), 1, 1, fill=False, edgecolor=RULE, lw=1.0))
    places = np.arange(len(names)) + 0.5
    axes.set_xticks(places, list(names), rotation=90, fontsize=SMALL)
    axes.set_yticks(places, list(names), fontsize=SMALL)
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.set_aspect("equal")
    axes.grid(visible=False)
    axes.spines[:].set(visible=True, color=GRID)


def _caption(results: Analysis, arms: Sequence[str], shown: int, classes: int) -> str:
    best = best_arm(results)
    if results.baseline_arm == best:
        which = "The baseline, which is also the arm with the highest mean score"
    elif len(arms) == 2:
        which = "The baseline, and the arm with the highest mean score"
    else:
        which = "The arm with the highest mean score" if best in arms else "The baseline"
    limited = f" The {shown} of {classes} classes with most pixels." * (shown < classes)
    return (
        f"Which class is taken for which. {which}; all images and seeds added up. A row is a true "
        "class and sums to 100 % of its pixels; numbers below 0.5 are left out. Framed: what "
        "is right. Hatched: the class does not occur." + limited
    )
