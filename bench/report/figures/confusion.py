"""The confusion matrices of the baseline and of the best arm."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.analysis.analysis import Analysis
from bench.report.content.ranking import certainty
from bench.report.figures.choice import best_arm
from bench.report.figures.lettering import one_line, text_width, wrapped
from bench.report.figures.matrix import draw_shares
from bench.report.figures.style import GRID, RULE, SMALL, WIDTH, styled

MOST_CLASSES = 54  # more rows than that cannot be told apart in a figure of this width
_BESIDE = 22  # up to so many classes two matrices fit beside each other
_LETTERS = 16  # of a class name


@styled
def confusion(results: Analysis) -> Figure | None:
    """Draw how the pixels of each class were labelled, in the baseline and in the best arm."""
    matrices = _matrices(results)
    if not matrices:
        return None
    names = _classes(results, next(iter(matrices)))
    pixels = sum(matrix.sum(1) for matrix in matrices.values())
    largest = np.argsort(-pixels, kind="stable")[:MOST_CLASSES]
    kept = sorted(largest.tolist())
    shown = [one_line(names[label], _LETTERS) for label in kept]
    across = len(matrices) if len(kept) <= _BESIDE else 1
    down = len(matrices) // across
    cell = min(0.42, (WIDTH - 1.6) / across / len(kept))
    height = down * (cell * len(kept) + max(map(text_width, shown)) + 0.75)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).flat
    for axes, (arm, matrix) in zip(grid, matrices.items(), strict=True):
        _draw(axes, matrix, kept, shown)
        baseline = " (baseline)" * (arm == results.baseline_arm)
        axes.set_title(wrapped(arm + baseline, (WIDTH - 2.0) / across, lines=2))
    for axes in grid[::across]:
        axes.set_ylabel("true")
    figure.set_label(_caption(results, list(matrices), len(kept), len(names)))
    return figure


def _matrices(results: Analysis) -> dict[str, NDArray[np.int64]]:
    """Return arm → (C, C) counts, added up over images and seeds, of at most two arms.

    These are the baseline and the best arm, as far as their matrices are stored and they have
    the same classes.
    """
    found: dict[str, NDArray[np.int64]] = {}
    for arm in dict.fromkeys((results.baseline_arm, best_arm(results))):
        keys = results.done[results.done["arm"] == arm]["key"]
        counts = [results.counts[key].total() for key in keys if key in results.counts]
        first = next(iter(found), arm)
        if arm and first and counts and _classes(results, arm) == _classes(results, first):
            found[arm] = np.sum(counts, axis=0, dtype=np.int64)
    return found


def _classes(results: Analysis, arm: str) -> tuple[str, ...]:
    keys = results.done[results.done["arm"] == arm]["key"]
    found = (results.records[key].accuracy for key in keys)
    classes = next(result.classes for result in found if result is not None)
    return results.plan.labels.of_classes(classes)


def _draw(axes: Axes, matrix: NDArray[np.int64], kept: list[int], names: list[str]) -> None:
    truth = matrix.sum(1)[kept].astype(np.float64)
    truth[truth == 0] = np.nan
    shares = matrix[np.ix_(kept, kept)] / truth[:, None]
    draw_shares(axes, shares, names, names, least=0.005, size=SMALL)
    for place in np.flatnonzero(truth > 0).tolist():  # where the right answers are
        axes.add_patch(Rectangle((place, place), 1, 1, fill=False, edgecolor=RULE, lw=1.0))
    axes.tick_params(axis="x", labelrotation=90)
    axes.set_xlabel("predicted")
    axes.set_aspect("equal")
    axes.spines[:].set(visible=True, color=GRID)


def _caption(results: Analysis, arms: list[str], shown: int, classes: int) -> str:
    best = best_arm(results)
    certain = certainty(results, best)
    if results.baseline_arm == best:
        which = f"The baseline, which is also the arm with the best mean score{certain}"
    elif len(arms) == 2:
        which = f"The baseline, and the arm with the best mean score{certain}"
    else:
        which = f"The arm with the best mean score{certain}" if best in arms else "The baseline"
    limited = f" The {shown} of {classes} classes with most pixels." * (shown < classes)
    return (
        f"Confusion matrices. {which}; all images and seeds added up. A row shows, in per cent, "
        "how the pixels of a true class were labelled; numbers below 0.5 are left out. Framed: "
        f"correct. Hatched: the class does not occur.{limited}"
    )
