"""Qualitative examples: what several arms predict of the same images, beside the truth."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch

from bench.analysis.analysis import Analysis
from bench.report.content import facts
from bench.report.figures.choice import examples, shared_images, with_examples
from bench.report.figures.examples import VOID_STRIPES, Picture, painted, read_image
from bench.report.figures.lettering import legend_text, one_line, text_width, wrapped
from bench.report.figures.style import FRAME, GRID, INK, SMALL, WIDTH, arm_styles, styled

_WIDEST = 2.6  # inches, of a picture


@styled
def panels(results: Analysis) -> Figure | None:
    """Draw some images, each with its truth and the prediction of several arms."""
    records = with_examples(results)
    images = shared_images(records)
    if not images:
        return None
    occurring: set[str | None] = set()

    def paint(arm: str, blob: str) -> Picture:
        picture, shares = painted(results, records[arm], blob)
        occurring.update(shares)
        return picture

    usual = Counter(record.seed for record in records.values()).most_common(1)[0][0]
    looks: dict[str, str] = {}
    grid: dict[str, dict[str, Picture]] = {}  # image → title of a column → picture
    for name, found in images.items():
        first, one = next(iter(found.items()))
        grid[name] = {}
        if one.image is not None:
            looks["image"] = INK
            grid[name]["image"] = read_image(results.store, one.image)
        if one.truth is not None:
            looks["truth"] = INK
            grid[name]["truth"] = paint(first, one.truth)
        for arm, example in found.items():
            seed = records[arm].seed
            title = arm if seed == usual else f"{arm} (seed {seed})"
            looks[title] = arm_styles(results.arms)[arm].colour
            grid[name][title] = paint(arm, example.prediction)
    figure = _compose(grid, looks, _legend(results, occurring))
    stored = {one.name for record in records.values() for one in examples(record, "chosen")}
    unless = ", unless a title names another" * any(r.seed != usual for r in records.values())
    limited = f" {len(records)} of {len(results.arms)} arms." * (len(records) < len(results.arms))
    shown = "".join(f" {text}" for text in facts.pictures(results))
    figure.set_label(
        f"Predictions. {len(images)} of {len(stored)} stored images, as predicted by the network "
        f"of seed {usual}{unless}.{limited}{shown}"
    )
    return figure


def _compose(
    grid: Mapping[str, Mapping[str, Picture]], looks: Mapping[str, str], legend: Sequence[Patch]
) -> Figure:
    width = min(_WIDEST, WIDTH / len(looks) - 0.12)  # inches
    shapes = [next(iter(row.values())).shape for row in grid.values()]
    aspects = [min(1.0, height / width) for height, width, _ in shapes]
    titles = [wrapped(title, width) for title in looks]
    widest = max(text_width(str(patch.get_label())) for patch in legend)
    per_row = max(1, int(WIDTH / (0.55 + widest)))
    lines = max(len(title.splitlines()) for title in titles)
    around = 0.15 * lines + 0.2 * math.ceil(len(legend) / per_row) + 0.1 * len(grid) + 0.2
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, hspace=0, wspace=0)
    figure = Figure((WIDTH, width * sum(aspects) + around), layout=layout)
    ratios = {"height_ratios": aspects}
    rows = figure.subplots(len(grid), len(looks), squeeze=False, gridspec_kw=ratios)
    for axes, (name, pictures), aspect in zip(rows, grid.items(), aspects, strict=True):
        axes[0].set_ylabel(wrapped(name, width * aspect, lines=1), fontsize=SMALL)
        for each, title in zip(axes, looks, strict=True):
            each.set(xticks=[], yticks=[], anchor="NW")
            each.spines[:].set(visible=title in pictures, color=GRID)
            if title in pictures:
                smooth = "antialiased" if title == "image" else "nearest"
                each.imshow(pictures[title], interpolation=smooth)
    for each, title, colour in zip(rows[0], titles, looks.values(), strict=True):
        each.set_title(title, fontsize=SMALL, fontweight="normal", linespacing=1.1)
        each.spines["top"].set(color=colour, lw=2.0)
    figure.legend(handles=legend, loc="outside lower left", ncols=per_row, fontsize=SMALL)
    return figure


def _legend(results: Analysis, occurring: set[str | None]) -> list[Patch]:
    patches = [
        Patch(
            facecolor=_colour(rgb),
            edgecolor=FRAME,
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
