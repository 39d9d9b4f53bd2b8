"""What accuracy costs: mean IoU over throughput, for networks of which both were measured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from bench.figures.speed import measured, plain_numbers
from bench.figures.style import SMALL, WIDTH, arm_styles, one_line, styled
from bench.frame import DONE, Results
from bench.records import Store


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
        axes.annotate(
            one_line(label), (speed, score), (6, 4), textcoords="offset points", fontsize=SMALL
        )
    axes.set_xscale("log")
    axes.set_xlabel("images per second")
    axes.set_ylabel("mean IoU")
    axes.margins(x=0.25, y=0.15)
    plain_numbers(axes.xaxis)
    figure.set_label(
        "Accuracy against throughput. Mean IoU is the mean over all finished trials of the same "
        "network (the same model settings, whatever the training) in the accuracy experiments of "
        "this results folder. Pale: another arm is at least as fast and as accurate."
    )
    return figure


def _scored(results: Results) -> Iterator[tuple[str, float, float]]:
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
