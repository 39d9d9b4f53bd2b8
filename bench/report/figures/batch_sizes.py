"""Throughput and memory over the batch size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bench.analysis.analysis import Analysis
from bench.analysis.stats.sample import describe
from bench.report.figures.axes import legend_beside, logarithmic
from bench.report.figures.lettering import handle
from bench.report.figures.style import WIDTH, ArmStyle, arm_styles, styled
from bench.store.frame import DONE

MOST_SERIES = 21
_SPREAD = 0.08  # of the distance between two sizes of a batch, over which lines are laid apart


@styled
def throughput(results: Analysis) -> Figure | None:
    """Draw images a second over the batch size; None where it was not varied."""
    return _over_batch_size(
        results,
        "images_per_second",
        "throughput, images/s",
        "Throughput over batch size. Dots are means of repetitions, each in a process of its own; "
        "bars are 95 % intervals of the mean. Arms are drawn slightly side by side. "
        "A cross at the bottom is a batch that did not fit into memory. Both axes are logarithmic.",
    )


@styled
def memory(results: Analysis) -> Figure | None:
    """Draw the peak of memory over the batch size; None where it was not varied."""
    return _over_batch_size(
        results,
        "peak_gigabytes",
        "peak memory, GB",
        "Memory over batch size. On a GPU, the most that torch had allocated while measuring; "
        "on a CPU, the largest resident set of the process, including what it loads at its "
        "start. Both axes are logarithmic.",
    )


def _over_batch_size(results: Analysis, metric: str, label: str, caption: str) -> Figure | None:
    series, too_large = _series(results, metric)
    sizes = sorted({size for values in series.values() for size in values})
    if len(sizes) < 2:
        return None
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    axes = figure.subplots()
    shown = list(series)[:MOST_SERIES]
    styles = arm_styles(shown)
    shifts = _shifts(shown, sizes)
    for name in shown:
        _line(axes, series[name], styles[name], shifts[name])
    axes.set_xscale("log", base=2)
    axes.xaxis.set_ticks(sizes, labels=list(map(str, sizes)))
    axes.xaxis.set_minor_locator(NullLocator())
    logarithmic(axes, [fmean(values) for name in shown for values in series[name].values()])
    for name, size in too_large:
        if name in styles:
            axes.plot(
                shifts[name] * size, 0.02, "x", color=styles[name].colour, ms=7, mew=1.8,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    axes.set_xlabel("batch size")
    axes.set_ylabel(label)
    legend_beside(axes, [handle(name or "all", styles[name], line=True) for name in shown])
    figure.set_label(caption)
    return figure


def _shifts(names: Sequence[str], sizes: Sequence[int]) -> dict[str, float]:
    """Return what sizes are multiplied with to lay lines apart, so that no bar hides another."""
    reach = _SPREAD * min(math.log(large / small) for small, large in pairwise(sizes))
    middle = (len(names) - 1) / 2
    return {name: math.exp(reach * (i - middle) / len(names)) for i, name in enumerate(names)}


def _line(axes: Axes, values: Mapping[int, list[float]], style: ArmStyle, shift: float) -> None:
    samples = {size: describe(values[size]) for size in sorted(values)}
    means = [sample.mean for sample in samples.values()]
    above = [s.high - s.mean if s.n > 1 else 0.0 for s in samples.values()]
    # The lower end of an interval has to stay above 0, which a logarithmic axis does not have.
    below = [min(half, 0.999 * mean) for half, mean in zip(above, means, strict=True)]
    axes.errorbar(
        [shift * size for size in samples], means, yerr=[below, above], color=style.colour,
        marker=style.marker, linestyle=style.dash, ms=4, lw=1.6, elinewidth=1.2, capsize=2.5,
    )  # fmt: skip


def _series(
    results: Analysis, metric: str
) -> tuple[dict[str, dict[int, list[float]]], set[tuple[str, int]]]:
    """Return series → batch size → values, and (series, batch size) that did not fit.

    A series is of arms that differ in nothing but the batch size.
    """
    series: dict[str, dict[int, list[float]]] = {}
    too_large = set()
    for key, arm in zip(results.trials["key"], results.trials["arm"], strict=True):
        record = results.records.get(key)
        if record is None:
            continue
        size = int(record.settings["train"]["batch_size"])
        varied = "train.batch_size" in results.arms[arm]
        of_size = (str(size), f"batch_size {size}") if varied else ()
        name = " · ".join(part for part in arm.split(" · ") if part not in of_size)
        value = record.metric(metric) if record.status == DONE else None
        if value is not None and value > 0:
            series.setdefault(name, {}).setdefault(size, []).append(float(value))
        elif record.status == "oom":
            too_large.add((name, size))
    return series, too_large
