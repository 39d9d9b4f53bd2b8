"""A picture of some images of a dataset, each above its labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from bench.data.dataset import IGNORE_INDEX, Dataset
from bench.data.files.palette import to_colours
from bench.data.pictures import about, picture
from bench.errors import UserError, nearest

_COLUMNS = 4  # pairs side by side
# The colour of void is the first that no class has.
_VOID_COLOURS = ((0, 0, 0), (255, 255, 255), (255, 0, 255), (1, 1, 1), (2, 2, 2))


def preview(dataset: Dataset, split: str = "train", *, count: int = 8, seed: int = 0) -> Figure:
    """Draw up to ``count`` images of a split, each above its labels, and a legend.

    UserError if there is no such split, or a file cannot be read.
    """
    if split not in dataset.splits:
        raise UserError(f"{dataset.name}: no split {split!r}{nearest(split, dataset.splits)}")
    names = dataset.splits[split].names
    chosen = [names[i] for i in np.random.default_rng(seed).permutation(len(names))[:count]]
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(3.2 * columns, 4.6 * rows + 0.9), layout="constrained", dpi=120)
    said = about(dataset.in_channels, dataset.bits)
    title = f"{dataset.name}, {split}: {len(chosen)} of {len(names)} images"
    figure.suptitle(f"{title}\n{said}" if said else title, fontsize="medium" if said else None)
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    taken = {tuple(colour) for colour in dataset.palette.tolist()}
    void = next(colour for colour in _VOID_COLOURS if colour not in taken)
    present: set[int] = set()
    for place, name in enumerate(chosen):
        row, column = divmod(place, columns)
        image, mask = dataset.splits[split].read(name)
        above, below = grid[2 * row, column], grid[2 * row + 1, column]
        above.set_title(name, fontsize=8, parse_math=False)
        shown = picture(image)
        shown = shown.squeeze(-1) if shown.shape[2] == 1 else shown
        above.imshow(shown, cmap="gray", vmin=0, vmax=255)
        below.imshow(to_colours(mask, dataset.palette, void=void), interpolation="nearest")
        present |= set(np.unique(mask).tolist())
    labelled = zip(dataset.classes, dataset.palette, strict=True)
    entries = {name: colour for label, (name, colour) in enumerate(labelled) if label in present}
    if IGNORE_INDEX in present:
        entries["void, not counted"] = np.array(void)
    _add_legend(figure, entries)
    return figure


def _add_legend(figure: Figure, entries: dict[str, NDArray[Any]]) -> None:
    # The names are set as text afterwards: a label may not begin with "_", and "$x" would be TeX.
    handles = [
        Patch(facecolor=tuple(colour / 255), edgecolor="gray", label=str(number))
        for number, colour in enumerate(entries.values())
    ]
    columns = min(6, len(handles))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)
    for text, name in zip(legend.get_texts(), entries, strict=True):
        text.set_parse_math(False)
        text.set_text(name)
