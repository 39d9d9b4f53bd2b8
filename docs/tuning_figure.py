"""Draw the figure of statistics.md on tuning, of made-up scores: `python docs/tuning_figure.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from bench.report.figures.axes import plain_numbers
from bench.report.figures.encode import encode
from bench.report.figures.style import RULE, SMALL, arm_styles, styled

FILE = Path(__file__).parent / "images" / "tuning.png"
DEFAULT = 1e-2
ARMS = {"ce": (1e-3, 0.40), "dice": (1e-2, 0.40)}  # arm → its best rate, and the score there


@styled
def draw() -> Figure:
    """Draw two arms that are equally good, each at its own best rate."""
    figure = Figure((6.5, 2.8), layout="constrained")
    axes = figure.subplots()
    rates = np.geomspace(1e-4, 1e-1, 7)
    looks = arm_styles(ARMS)
    for arm, (best, top) in ARMS.items():
        scores = top - 0.05 * np.log10(rates / best) ** 2
        axes.plot(rates, scores, color=looks[arm].colour, marker=looks[arm].marker, label=arm)
        axes.axvline(best, color=looks[arm].colour, lw=5, alpha=0.25, zorder=0.9)
    axes.axvline(DEFAULT, color=RULE, ls=(0, (4, 3)), lw=1.2)
    place = {"textcoords": "offset points", "size": SMALL, "va": "top"}
    axes.annotate("the best rate of ce: as good\nas dice at its own", (1e-3, 0.25), (8, 0), **place)
    axes.annotate(
        "the rate of the file:\ndice is better", (DEFAULT, 0.31), (-8, 0), ha="right", **place
    )
    axes.set(xscale="log", xlabel="train.learning_rate", ylabel="mean IoU (made up)")
    plain_numbers(axes.xaxis)
    axes.legend(loc="upper left", fontsize=SMALL)
    return figure


if __name__ == "__main__":
    found = draw()
    assert found is not None
    FILE.write_bytes(encode(found, "png"))
