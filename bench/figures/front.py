"""What accuracy costs: mean IoU over throughput, for networks of which both were measured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from bench.figures.axes import plain_numbers
from bench.figures.speed import measured
from bench.figures.style import SMALL, WIDTH, arm_styles, one_line, styled, text_width
from bench.frame import DONE, Results
from bench.records import Store

Point = tuple[str, float, float]  # arm, images a second, mean IoU

# Inches: half of a dot, from its middle to a name beside it, and the height of a name.
_DOT, _GAP, _HEIGHT = 0.07, 0.1, 0.12
# Where a name may stand, best first: right of its dot (1), left or in the middle, and how far up.
_PLACES = (
    *((side, up) for up in (-0.04, 0.08, -0.16) for side in (1, -1)),
    *((side, up) for up in (0.12, -0.24, 0.26, -0.38) for side in (0, 1, -1)),
)


@styled
def front(results: Results) -> Figure | None:
    """Draw mean IoU over throughput, where a sibling experiment scored the same networks."""
    points = list(_scored(results))
    if not points:
        return None
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    axes = figure.subplots()
    styles = arm_styles(results.arms)
    best = -math.inf
    for label, speed, score in sorted(points, key=lambda point: (-point[1], -point[2])):
        style, ahead = styles[label], score > best
        best = max(best, score)
        axes.plot(speed, score, style.marker, color=style.colour, ms=8, alpha=1 if ahead else 0.45)
    axes.set_xscale("log")
    axes.set_xlabel("images per second")
    axes.set_ylabel("mean IoU")
    axes.margins(x=0.25, y=0.15)
    plain_numbers(axes.xaxis)
    _name(figure, axes, points)
    figure.set_label(
        "Accuracy against throughput. Mean IoU is the mean over all finished trials of the same "
        "network (the same model settings, whatever the training) in the accuracy experiments of "
        "this results folder. Pale: another arm is at least as fast and as accurate."
    )
    return figure


def _name(figure: Figure, axes: Axes, points: Sequence[Point]) -> None:
    """Write a name beside each dot, where it hides neither a dot nor another name if it can."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)  # or nothing is where it will be
    inches = axes.transData.transform([point[1:] for point in points]) / figure.dpi
    taken = [Bbox.from_bounds(x - _DOT, y - _DOT, 2 * _DOT, 2 * _DOT) for x, y in inches]
    frame = axes.get_window_extent()
    inside = Bbox(frame.get_points() / figure.dpi)
    for (label, speed, score), (x, y) in zip(points, inches, strict=True):
        name = one_line(label)
        width = text_width(name)
        choices = [
            Bbox.from_bounds(x + side * (_GAP + width / 2) - width / 2, y + up, width, _HEIGHT)
            for side, up in _PLACES
        ]
        free = (box for box in choices if inside.contains(*box.p0) and inside.contains(*box.p1))
        box = next((box for box in free if not box.count_overlaps(taken)), choices[0])
        taken.append(box)
        axes.annotate(
            name,
            (speed, score),
            (72 * (box.x0 - x), 72 * (box.y0 - y)),
            textcoords="offset points",
            fontsize=SMALL,
        )


def _scored(results: Results) -> Iterator[Point]:
    """Yield arm, images a second and mean IoU of arms whose network was scored."""
    speeds: dict[str, tuple[Any, list[float]]] = {}
    for arm, record in measured(results):
        if record.status == DONE and "model" in record.settings:
            model = record.settings["model"]
            speeds.setdefault(arm, (model, []))[1].append(record.result["images_per_second"])
    if not speeds:
        return
    scores = _scores(results.store)
    for arm, (model, values) in speeds.items():
        found = scores.get(json.dumps(model, sort_keys=True))
        if found:
            yield arm, fmean(values), fmean(found)


def _scores(store: Store) -> dict[str, list[float]]:
    """Return settings of a network → its mean IoU in each accuracy trial beside this store."""
    scores: dict[str, list[float]] = {}
    for path in sorted(store.folder.parent.glob("*/plan.json")):
        sibling = Store(path.parent)
        plan = sibling.read_plan()
        if plan is None or plan.get("measure") != "accuracy":
            continue
        for record in sibling.held(trial["key"] for trial in plan["trials"]).values():
            value = record.result.get("metrics", {}).get("mean_iou")
            if value is not None and record.status == DONE:
                model = json.dumps(record.settings["model"], sort_keys=True)
                scores.setdefault(model, []).append(value)
    return scores
