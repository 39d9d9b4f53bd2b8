"""A map of shares with a number in each cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from bench.report.figures.style import ABSENT, FRAME, GRID, ink_on_tint, tint


def draw_shares(
    axes: Axes,
    shares: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    least: float = 0.0,
    size: float | None = None,
) -> None:
    """Draw shares (R, C) in [0, 1] as colours and in per cent, hatched where they are NaN.

    ``least`` is the least share that is written as a number too; letters have ``size`` points.
    """
    colours = ListedColormap([tint(step / 255) for step in range(256)])
    masked = np.ma.masked_invalid(shares)
    axes.pcolormesh(masked, cmap=colours, vmin=0.0, vmax=1.0, edgecolor=GRID, linewidth=0.6)
    for row, column in np.argwhere(np.isnan(shares)):
        axes.add_patch(Rectangle((column, row), 1, 1, fc=ABSENT, ec=FRAME, hatch="////", lw=0.0))
    for row, column in np.argwhere(shares >= least):
        share = float(shares[row, column])
        axes.text(
            column + 0.5,
            row + 0.5,
            f"{100 * share:.0f}",
            ha="center",
            va="center",
            size=size,
            color=ink_on_tint(share),
        ).set_in_layout(False)  # asking every number for its size takes seconds
    axes.set_xticks(np.arange(len(columns)) + 0.5, list(columns), fontsize=size)
    axes.set_yticks(np.arange(len(rows)) + 0.5, list(rows), fontsize=size)
    axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0))
    axes.tick_params(length=0, labeltop=True, labelbottom=False)
    axes.grid(visible=False)
