"""The time of each layer beside its roofline bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.analysis.analysis import Analysis
from bench.report.figures.lettering import one_line
from bench.report.figures.style import FAINT, HUES, INK, SMALL, WIDTH, styled
from bench.store.frame import DONE

MOST_LAYERS = 18
MOST_PANELS = 4

Layer = tuple[str, float, float]  # name, measured milliseconds, bound in milliseconds


@styled
def roofline(results: Analysis) -> Figure | None:
    """Draw the forward pass of each layer beside its bound, for the first arms that have it."""
    found = _layers(results)
    panels = dict(list(found.items())[:MOST_PANELS])
    if not panels:
        return None
    rows = math.ceil(len(panels) / 2)
    most = max(map(len, panels.values()))
    figure = Figure(figsize=(WIDTH, 0.24 * rows * most + 1.2), layout="constrained")
    grid = figure.subplots(rows, min(2, len(panels)), squeeze=False)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes, (arm, layers) in zip(grid.flat, panels.items(), strict=False):
        _bars(axes, layers)
        axes.set_title(one_line(arm))
        axes.set_xlabel("milliseconds, forward pass")
    figure.set_label(
        "Layers and the roofline. Grey: median time of a layer's forward pass. Blue: its roofline "
        "bound, the least time that its FLOPs and memory traffic allow on this device. Numbers: "
        "the bound in % of the time. Elementwise layers have no bound of their own, since they "
        "can be fused with a neighbour. Time between layers is not shown. "
        f"The {MOST_LAYERS} slowest layers of each arm."
        + f" The first {len(panels)} of {len(found)} arms."
        * (len(panels) < len(found))
    )
    return figure


def _layers(results: Analysis) -> dict[str, list[Layer]]:
    """Return arm → its slowest layers, in the order of the network; medians over repetitions."""
    times: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for key, arm in zip(results.trials["key"], results.trials["arm"], strict=True):
        record = results.records.get(key)
        if record is not None and record.throughput and record.status == DONE:
            for layer in results.store.details(key).layers:
                if layer.forward_ms is not None:
                    pair = layer.forward_ms, layer.forward_roofline_ms
                    times.setdefault(arm, {}).setdefault(layer.name, []).append(pair)
    found = {}
    for arm, of_arm in times.items():
        layers = [
            (name, median(took for took, _ in pairs), median(bound for _, bound in pairs))
            for name, pairs in of_arm.items()
        ]
        slowest = sorted(layers, key=lambda layer: -layer[1])[:MOST_LAYERS]
        found[arm] = [layer for layer in layers if layer in slowest]
    return found


def _bars(axes: Axes, layers: Sequence[Layer]) -> None:
    places = range(len(layers))
    axes.barh(places, [took for _, took, _ in layers], 0.72, color=FAINT)
    axes.barh(places, [bound for _, _, bound in layers], 0.4, color=HUES[0])
    longest = max(took for _, took, _ in layers)
    for place, (_, took, bound) in zip(places, layers, strict=True):
        share = f"{bound / took:.0%}" if bound else "no bound"
        axes.text(took + 0.01 * longest, place, share, va="center", fontsize=SMALL, color=INK)
    axes.set_yticks(list(places), [one_line(name, 40) for name, _, _ in layers], fontsize=SMALL)
    axes.set_xlim(0, 1.25 * longest)
    # None at the right edge, where laying out the figure could move it and cut its label.
    ticks = MaxNLocator(5).tick_values(0, longest)
    axes.set_xticks([tick for tick in ticks if tick <= longest])
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
