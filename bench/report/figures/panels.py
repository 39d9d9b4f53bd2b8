"""Prediction panels: what every arm makes of the same images, beside the truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from bench.analysis.analysis import Analysis
from bench.data.dataset import IGNORE_INDEX
from bench.report.figures.pictures import VOID_STRIPES, Picture, paint, read_image, read_labels
from bench.report.figures.style import (
    ABSENT,
    INK,
    SMALL,
    WIDTH,
    arm_styles,
    legend_text,
    one_line,
    styled,
    text_width,
    wrapped,
)
from bench.store.frame import DONE
from bench.store.records import Record
from bench.store.results import Example

MOST_COLUMNS = 8
MOST_ROWS = 8  # of pictures in the figure: decides how many images are shown
MOST_ARMS = 30

# Inches: between pictures, between images, a line of text, left edge, widest picture.
_GAP, _BETWEEN, _LINE, _SIDE, _WIDEST = 0.07, 0.2, 0.135, 0.25, 2.6


@dataclass(frozen=True)
class Cell:
    """One picture under its title, or a note in its place.

    ``classes`` are those that its labels have; None among them stands for void.
    """

    title: str
    colour: str = INK
    picture: Picture | None = None
    classes: frozenset[str | None] = frozenset()
    note: str = ""


@styled
def panels(results: Analysis) -> Figure | None:
    """Draw some images, each with its truth and the prediction of every arm."""
    chosen = _chosen(results)
    names = list(dict.fromkeys(p.name for record in chosen.values() for p in _panels(record)))
    if not names:
        return None
    labels = list(results.arms)[:MOST_ARMS]
    bands = math.ceil((len(labels) + 2) / MOST_COLUMNS)
    columns = math.ceil((len(labels) + 2) / bands)
    shown = names[: max(1, MOST_ROWS // bands)]
    rows = {name: _cells(results, labels, chosen, name) for name in shown}
    occurring = frozenset[str | None]().union(*(c.classes for row in rows.values() for c in row))
    figure = _compose(rows, columns, _legend(results, occurring))
    unless = ", unless a title names another" * (len({r.seed for r in chosen.values()}) > 1)
    figure.set_label(
        f"Predictions. {len(shown)} of {len(names)} stored images, as predicted by the network of "
        f"seed {_usual_seed(chosen)}{unless}."
        + f" The first {MOST_ARMS} of {len(results.arms)} arms."
        * (len(labels) < len(results.arms))
    )
    return figure


def _chosen(results: Analysis) -> dict[str, Record]:
    """Return arm → the record of its first trial in the plan that has pictures."""
    chosen: dict[str, Record] = {}
    for key, arm in zip(results.trials["key"], results.trials["arm"], strict=True):
        if key in results.records and _panels(results.records[key]):
            chosen.setdefault(arm, results.records[key])
    return chosen


def _panels(record: Record) -> Sequence[Example]:
    """Return the pictures that every trial keeps, not its own worst and best."""
    kept = record.accuracy.examples if record.accuracy and record.status == DONE else ()
    return [example for example in kept if example.why == "chosen"]


def _usual_seed(chosen: Mapping[str, Record]) -> int:
    return Counter(record.seed for record in chosen.values()).most_common(1)[0][0]


def _cells(
    results: Analysis, labels: Sequence[str], chosen: Mapping[str, Record], image: str
) -> list[Cell]:
    """Return the pictures that belong to one image: itself, its truth, every arm."""
    styles = arm_styles(results.arms)
    usual = _usual_seed(chosen)
    found = {
        arm: (record, panel)
        for arm, record in chosen.items()
        for panel in _panels(record)
        if panel.name == image
    }
    first, panel = next(iter(found.values()))
    cells = [
        Cell("image", picture=read_image(results.store, panel.image)),
        _painted(results, first, panel.truth, title="truth", colour=INK),
    ]
    for arm in labels:
        colour = styles[arm].colour
        if arm in found:
            record, panel = found[arm]
            title = arm if record.seed == usual else f"{arm} (seed {record.seed})"
            blob = panel.prediction
            cells.append(_painted(results, record, blob, title=title, colour=colour))
        else:
            cells.append(Cell(arm, colour, note=_reason(results, arm)))
    return cells


def _painted(results: Analysis, record: Record, blob: str, *, title: str, colour: str) -> Cell:
    names = record.accuracy.classes if record.accuracy else ()
    labels = read_labels(results.store, blob)
    occurring = {
        None if label == IGNORE_INDEX else names[label] for label in np.unique(labels).tolist()
    }
    picture = paint(labels, names, results.palette)
    return Cell(title, colour, picture, frozenset(occurring))


def _reason(results: Analysis, arm: str) -> str:
    states = dict.fromkeys(results.trials[results.trials["arm"] == arm]["status"])
    return "no picture" if DONE in states else ", ".join(states)


def _legend(results: Analysis, occurring: frozenset[str | None]) -> list[Patch]:
    patches = [
        Patch(
            facecolor=_colour(rgb),
            edgecolor="#888888",
            linewidth=0.5,
            label=legend_text(one_line(name, 24)),
        )
        for name, rgb in results.palette.items()
        if name in occurring
    ]
    if None in occurring:
        dark, light = map(_colour, VOID_STRIPES)
        patches.append(Patch(facecolor=light, edgecolor=dark, hatch="//////", lw=0.5, label="void"))
    return patches


def _colour(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    return rgb[0] / 255, rgb[1] / 255, rgb[2] / 255


def _compose(rows: Mapping[str, Sequence[Cell]], columns: int, legend: Sequence[Patch]) -> Figure:
    """Lay pictures out in inches, on one pair of axes as large as the figure.

    That is exact, and quicker by far than a pair of axes for each picture.
    """
    width = min(_WIDEST, (WIDTH - _SIDE - _GAP * columns) / columns)
    bands = [
        (name if first == 0 else "", cells[first : first + columns])
        for name, cells in rows.items()
        for first in range(0, len(cells), columns)
    ]
    repeat = len(bands) > len(rows)
    figure = Figure()
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.axis("off")
    top = 0.05
    for i, (name, cells) in enumerate(bands):
        titles = [wrapped(cell.title, width) if repeat or i == 0 else "" for cell in cells]
        top += _BETWEEN * bool(repeat and name and i)
        top += _LINE * max(len(title.splitlines()) for title in titles) + _GAP
        height = width * min(1.0, max(_aspect(cell) for cell in cells))
        middle = top + height / 2
        label = wrapped(name, height, lines=1)
        axes.text(_SIDE / 2, middle, label, rotation=90, size=SMALL, ha="center", va="center")
        for column, (cell, title) in enumerate(zip(cells, titles, strict=True)):
            _draw(axes, cell, title, (_SIDE + column * (width + _GAP), top, width, height))
        top += height
    widest = max(text_width(str(patch.get_label())) for patch in legend)
    per_row = max(1, int(WIDTH / (0.55 + widest)))
    total = top + 0.2 + 0.19 * math.ceil(len(legend) / per_row)
    figure.set_size_inches(WIDTH, total)
    axes.set(xlim=(0, WIDTH), ylim=(total, 0))
    figure.legend(handles=legend, loc="lower left", ncols=per_row, fontsize=SMALL)
    return figure


def _aspect(cell: Cell) -> float:
    return 0.5 if cell.picture is None else cell.picture.shape[0] / cell.picture.shape[1]


def _draw(axes: Axes, cell: Cell, title: str, box: tuple[float, float, float, float]) -> None:
    """Draw one cell; ``box`` is left, top, width and height of its picture in inches."""
    left, top, width, height = box
    line = [left, left + width], [top - 0.025] * 2
    axes.plot(*line, color=cell.colour, lw=2.0, solid_capstyle="butt")
    axes.text(left, top - 0.05, title, size=SMALL, ha="left", va="bottom", linespacing=1.1)
    if cell.picture is None:
        axes.add_patch(Rectangle((left, top), width, height, facecolor=ABSENT))
        middle = left + width / 2, top + height / 2
        axes.text(*middle, cell.note, size=SMALL, ha="center", va="center")
        return
    wide = min(width, height / _aspect(cell))
    axes.imshow(
        cell.picture,
        extent=(left, left + wide, top + wide * _aspect(cell), top),
        aspect="auto",
        interpolation="nearest" if cell.classes else "antialiased",
    )
