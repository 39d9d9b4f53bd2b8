"""The figures of a report: one file for each kind, one line below for each figure.

A figure function takes the results and returns its figure, or None where the results have
nothing that it could show; saving happens elsewhere. The label of a figure
(``Figure.get_label()``) is its caption: a first sentence that names it, then what to know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.figure import Figure

from bench.analysis.analysis import Analysis
from bench.report.figures.batch_sizes import memory, throughput
from bench.report.figures.classes import classes
from bench.report.figures.confusion import confusion
from bench.report.figures.curves import curves
from bench.report.figures.dots import arms, factors
from bench.report.figures.effects import effects
from bench.report.figures.interactions import interactions
from bench.report.figures.original_study import original_study
from bench.report.figures.panels import panels
from bench.report.figures.roofline import roofline
from bench.report.figures.tuning import tuning

# File name → function, in the order of the report.
FIGURES: Mapping[str, Callable[[Analysis], Figure | None]] = {
    "effects": effects,
    "tuning": tuning,
    "factors": factors,
    "arms": arms,
    "interactions": interactions,
    "original_study": original_study,
    "throughput": throughput,
    "roofline": roofline,
    "memory": memory,
    "curves": curves,
    "classes": classes,
    "confusion": confusion,
    "panels": panels,
}
