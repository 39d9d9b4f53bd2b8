"""Throughput: speed and memory over the batch size, and how far each layer is from its limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bench.analysis.analysis import Analysis
from bench.analysis.stats.sample import describe
from bench.report.figures.axes import logarithmic
from bench.report.figures.style import (
    FAINT,
    HUES,
    INK,
    SMALL,
    WIDTH,
    ArmStyle,
    arm_styles,
    handle,
    one_line,
    styled,
)
from bench.store.frame import DONE
from bench.store.records import Record

MOST_SERIES = 21
MOST_LAYERS = 18
MOST_PANELS = 4
_SPREAD = 0.08  # of the distance between two sizes of a batch, over which lines are laid apart

# The size of a batch → what was measured with it, once for each repetition.
Series = Mapping[int, list[float]]
Read = Callable[[Record], float | None]


@styled
def throughput(results: Analysis) -> Figure | None:
    """Draw images a second over the batch size; None where it was not varied."""
    return _over_batch_size(
        results,
        lambda record: record.metric("images_per_second"),
        "images per second",
        "Throughput over batch size. Dots are the means of repetitions, each in a process of "
        "its own; bars are 95 % intervals of the mean. Arms are drawn a little beside each other. "
        "A cross at the bottom is a batch that did not fit into memory. Both axes are logarithmic.",
    )


@styled
def memory(results: Analysis) -> Figure | None:
    """Draw the peak of memory over the batch size; None where it was not varied."""
    return _over_batch_size(
        results,
        _peak,
        "peak memory, GB",
        "Memory over batch size. On a GPU, what torch had allocated at most while measuring; "
        "on a CPU, the largest resident set of the process, what it loads at its start "
        "included. Both axes are logarithmic.",
    )


@styled
def limits(results: Analysis) -> Figure | None:
    """Draw the forward pass of each layer beside its floor, for the first arms that have it."""
    found = list(_layers(results))
    panels = found[:MOST_PANELS]
    if not panels:
        return None
    rows = max(len(layers) for _, layers in panels)
    figure = Figure(
        figsize=(WIDTH, 0.24 * rows * math.ceil(len(panels) / 2) + 1.2), layout="constrained"
    )
    grid = figure.subplots(math.ceil(len(panels) / 2), min(2, len(panels)), squeeze=False)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes, (label, layers) in zip(grid.flat, panels, strict=False):
        _bars(axes, layers)
        axes.set_title(one_line(label))
        axes.set_xlabel("milliseconds, forward pass")
    figure.set_label(
        "Share of the limit by layer. Grey: how long the layer's forward pass took (median). "
        "Blue: the least it could take on this device, by its arithmetic and its traffic; the "
        "number is their ratio. Layers that work value by value have no floor of their own: at "
        "best they are part of a neighbour. Between layers is what the rest of the pass takes. "
        f"The {MOST_LAYERS} slowest of each arm."
        + f" The first {len(panels)} of {len(found)} arms."
        * (len(panels) < len(found))
    )
    return figure


def _over_batch_size(results: Analysis, read: Read, quantity: str, caption: str) -> Figure | None:
    series = _series(results, read)
    if len({size for values in series.values() for size in values}) < 2:
        return None
    figure = Figure(figsize=(WIDTH, 4.0), layout="constrained")
    axes = figure.subplots()
    shown = list(series)[:MOST_SERIES]
    styles = arm_styles(shown)
    sizes = sorted({size for values in series.values() for size in values})
    shifts = _shifts(shown, sizes)
    for label in shown:
        _line(axes, series[label], styles[label], shifts[label])
    axes.set_xscale("log", base=2)
    axes.xaxis.set_ticks(sizes, labels=list(map(str, sizes)))
    axes.xaxis.set_minor_locator(NullLocator())
    logarithmic(axes, [fmean(values) for label in shown for values in series[label].values()])
    for label, size in _too_large(results):
        if label in styles:
            axes.plot(
                shifts[label] * size, 0.02, "x", color=styles[label].colour, ms=7, mew=1.8,
                transform=axes.get_xaxis_transform(),
            )  # fmt: skip
    axes.set_xlabel("batch size")
    axes.set_ylabel(quantity)
    axes.legend(
        handles=[handle(label or "all", styles[label], line=True) for label in shown],
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        fontsize=SMALL,
    )
    figure.set_label(caption)
    return figure


def _shifts(labels: Sequence[str], sizes: Sequence[int]) -> dict[str, float]:
    """Return what sizes are multiplied with to lay lines apart, so that no bar hides another."""
    reach = _SPREAD * min(math.log(large / small) for small, large in pairwise(sizes))
    middle = (len(labels) - 1) / 2
    return {label: math.exp(reach * (i - middle) / len(labels)) for i, label in enumerate(labels)}


def _line(axes: Axes, values: Series, style: ArmStyle, shift: float) -> None:
    samples = {size: describe(values[size]) for size in sorted(values)}
    means = [sample.mean for sample in samples.values()]
    above = [s.high - s.mean if s.n > 1 else 0.0 for s in samples.values()]
    # The lower end of an interval has to stay above 0, which a logarithmic axis does not have.
    below = [min(half, 0.999 * mean) for half, mean in zip(above, means, strict=True)]
    axes.errorbar(
        [shift * size for size in samples], means, yerr=[below, above], color=style.colour,
        marker=style.marker, linestyle=style.dash, ms=4, lw=1.6, elinewidth=1.2, capsize=2.5,
    )  # fmt: skip


def _series(results: Analysis, read: Read) -> dict[str, dict[int, list[float]]]:
    """Return series → batch size → values: arms that differ in nothing but the batch size."""
    series: dict[str, dict[int, list[float]]] = {}
    for arm, record in measured(results):
        value = read(record) if record.status == DONE else None
        if value is not None and value > 0:
            sizes = series.setdefault(_without_batch(arm), {})
            sizes.setdefault(int(record.settings["train"]["batch_size"]), []).append(float(value))
    return series


def _too_large(results: Analysis) -> set[tuple[str, int]]:
    return {
        (_without_batch(arm), int(record.settings["train"]["batch_size"]))
        for arm, record in measured(results)
        if record.status == "oom"
    }


def _without_batch(arm: str) -> str:
    return " · ".join(part for part in arm.split(" · ") if not part.startswith("batch_size "))


def _peak(record: Record) -> float | None:
    return record.metric("peak_gigabytes")


def measured(results: Analysis) -> Iterator[tuple[str, Record]]:
    """Yield arm and record of every trial of a throughput experiment that has one."""
    if results.plan.get("measure") == "throughput":
        for key, arm in results.trials[["key", "arm"]].itertuples(index=False):
            if key in results.records:
                yield arm, results.records[key]


def _layers(results: Analysis) -> Iterator[tuple[str, list[tuple[str, float, float]]]]:
    """Yield arm, and name, measured and least milliseconds of its slowest layers."""
    by_arm: dict[str, list[Record]] = {}
    for arm, record in measured(results):
        if record.status == DONE:
            by_arm.setdefault(arm, []).append(record)
    for arm, records in by_arm.items():
        times: dict[str, list[tuple[float, float]]] = {}
        for record in records:
            for row in results.store.details(record.key).get("layers", ()):
                if row["forward_ms"] is not None:
                    pair = row["forward_ms"], row["forward_roofline_ms"]
                    times.setdefault(row["name"], []).append(pair)
        if times:
            layers = [
                (name, median(took for took, _ in pairs), median(least for _, least in pairs))
                for name, pairs in times.items()
            ]
            slowest = sorted(layers, key=lambda layer: -layer[1])[:MOST_LAYERS]
            yield arm, [layer for layer in layers if layer in slowest]


def _bars(axes: Axes, layers: list[tuple[str, float, float]]) -> None:
    places = range(len(layers))
    axes.barh(places, [took for _, took, _ in layers], 0.72, color=FAINT)
    axes.barh(places, [least for _, _, least in layers], 0.4, color=HUES[0])
    longest = max(took for _, took, _ in layers)
    for place, (_, took, least) in zip(places, layers, strict=True):
        share = f"{least / took:.0%}" if least else "no floor"
        axes.text(took + 0.01 * longest, place, share, va="center", fontsize=SMALL, color=INK)
    axes.set_yticks(list(places), [one_line(name, 40) for name, _, _ in layers], fontsize=SMALL)
    axes.set_xlim(0, 1.25 * longest)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
