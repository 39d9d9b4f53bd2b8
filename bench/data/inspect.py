"""What ``bench data`` does: list, install, check and preview datasets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from bench.data import registry
from bench.data.dataset import IGNORE_INDEX, Dataset, DatasetSettings, Split
from bench.data.files import palette
from bench.data.files.archives import Progress
from bench.errors import UserError, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 4  # pairs side by side in a preview
_VOID_COLOURS = [(0, 0, 0), (255, 255, 255), (255, 0, 255)]  # the first that is no class's


@dataclass(frozen=True)
class Listed:
    """A dataset in the list. ``problem`` is None where it is ready to be used as it is."""

    name: str
    about: str
    can_install: bool
    problem: str | None


@dataclass(frozen=True)
class SplitReport:
    """What the images and masks of a split hold.

    ``pixels[i]`` and ``images_with[i]`` count the pixels of class i and the images that have
    any; ``sizes`` counts images by (height, width). Images that could not be read are named in
    ``problems``, one line each, and counted in ``images`` only.
    """

    images: int
    sizes: Mapping[tuple[int, int], int]
    pixels: tuple[int, ...]
    images_with: tuple[int, ...]
    void_pixels: int
    all_void: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of each class among the pixels that count; zeros where none does."""
        total = sum(self.pixels)
        return tuple(count / total if total else 0.0 for count in self.pixels)

    @property
    def void_share(self) -> float:
        """The share of all pixels that counts nowhere."""
        total = sum(self.pixels) + self.void_pixels
        return self.void_pixels / total if total else 0.0


@dataclass(frozen=True)
class DataReport:
    """What a dataset holds, split by split."""

    name: str
    classes: tuple[str, ...]
    fingerprint: str
    splits: Mapping[str, SplitReport]

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, one line each."""
        return tuple(line for split in self.splits.values() for line in split.problems)


def settings_for(name: str, values: Mapping[str, Any]) -> DatasetSettings:
    """Return the settings of a dataset, from values as a YAML file would give them.

    Raises:
        UserError: if there is no such dataset, or a value is wrong or missing.
    """
    kind = registry.module(name).Settings
    for key in values:
        if key not in kind.model_fields:
            raise UserError(f"{name}: unknown setting {key!r}{nearest(key, kind.model_fields)}")
    try:
        return kind(**{"name": name, **values})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{name}: {f'{key}: {message}' if key else message}") from error


def listing(root: Path) -> tuple[Listed, ...]:
    """Return every dataset, and whether its files are under ``root``."""
    return tuple(_listed(name, root) for name in registry.names())


def install(
    name: str, root: Path, sources: Sequence[Path] = (), *, progress: Progress | None = None
) -> tuple[str, ...]:
    """Fetch a dataset, or unpack it from archives, and return what there is to say about it.

    Raises:
        UserError: if the dataset cannot be installed, or this failed.
    """
    put: Callable[..., tuple[str, ...]] | None = getattr(registry.module(name), "install", None)
    if put is None:
        raise UserError(
            f"{name}: nothing to install; `python -m bench data list` says what it needs"
        )
    try:
        return put(root, sources, progress=progress)
    except OSError as error:
        raise UserError(f"{root}: {name} cannot be installed ({error})") from error


def check(dataset: Dataset) -> DataReport:
    """Read everything once and report on it; what cannot be read is reported, not raised."""
    splits = {
        name: _check_split(split, len(dataset.classes)) for name, split in dataset.splits.items()
    }
    return DataReport(dataset.name, dataset.classes, dataset.fingerprint, splits)


def preview(dataset: Dataset, split: str = "train", *, count: int = 8, seed: int = 0) -> Figure:
    """Draw some images of a split, each above its labels, and a legend.

    Args:
        dataset: where they come from.
        split: which one.
        count: how many at most.
        seed: decides which.

    Raises:
        UserError: if there is no such split, or a file cannot be read.
    """
    from matplotlib.figure import Figure  # late: nothing else here draws

    if split not in dataset.splits:
        raise UserError(f"{dataset.name}: no split {split!r}{nearest(split, dataset.splits)}")
    names = dataset.splits[split].names
    chosen = [names[i] for i in np.random.default_rng(seed).permutation(len(names))[:count]]
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(3.2 * columns, 4.6 * rows + 0.9), layout="constrained", dpi=120)
    figure.suptitle(f"{dataset.name}, {split}: {len(chosen)} of {len(names)} images")
    grid = figure.subplots(2 * rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    present: set[int] = set()
    for place, name in enumerate(chosen):
        row, column = divmod(place, columns)
        pair = grid[2 * row, column], grid[2 * row + 1, column]
        present |= _draw_pair(pair, dataset, dataset.splits[split], name)
    _add_legend(figure, dataset, present)
    return figure


def _listed(name: str, root: Path) -> Listed:
    module = registry.module(name)
    try:
        registry.load(settings_for(name, {}), root)
        problem = None
    except UserError as error:
        problem = str(error)
    about = (module.__doc__ or "").partition("\n")[0]
    return Listed(name, about, hasattr(module, "install"), problem)


def _check_split(split: Split, num_classes: int) -> SplitReport:
    sizes: Counter[tuple[int, int]] = Counter()
    pixels, images_with = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    all_void, problems = [], []
    for name in split.names:
        try:
            _, mask = split.read(name)
        except UserError as error:
            problems.append(str(error))
            continue
        counts = np.bincount(mask.ravel(), minlength=256)
        sizes[mask.shape[0], mask.shape[1]] += 1
        pixels += counts
        images_with += counts > 0
        if counts[IGNORE_INDEX] == mask.size:
            all_void.append(name)
    return SplitReport(
        images=len(split.names),
        sizes=dict(sizes.most_common()),
        pixels=tuple(map(int, pixels[:num_classes])),
        images_with=tuple(map(int, images_with[:num_classes])),
        void_pixels=int(pixels[IGNORE_INDEX]),
        all_void=tuple(all_void),
        problems=tuple(problems),
    )


def _void_colour(dataset: Dataset) -> palette.Colour:
    taken = {tuple(colour) for colour in dataset.palette.tolist()}
    return next(colour for colour in [*_VOID_COLOURS, (1, 1, 1), (2, 2, 2)] if colour not in taken)


def _draw_pair(pair: tuple[Axes, Axes], dataset: Dataset, split: Split, name: str) -> set[int]:
    """Draw an image and its labels, and return which labels occur."""
    image, mask = split.read(name)
    above, below = pair
    above.set_title(name, fontsize=8, parse_math=False)
    above.imshow(
        image.squeeze(-1) if dataset.in_channels == 1 else image, cmap="gray", vmin=0, vmax=255
    )
    coloured = palette.to_colours(mask, dataset.palette, void=_void_colour(dataset))
    below.imshow(coloured, interpolation="nearest")
    return set(np.unique(mask).tolist())


def _add_legend(figure: Figure, dataset: Dataset, present: set[int]) -> None:
    from matplotlib.patches import Patch

    entries: list[tuple[str, palette.Colour]] = []
    for label, name in enumerate(dataset.classes):
        if label in present:
            red, green, blue = dataset.palette[label].tolist()
            entries.append((name, (red, green, blue)))
    if IGNORE_INDEX in present:
        entries.append(("void, not counted", _void_colour(dataset)))
    handles = [
        Patch(facecolor=(red / 255, green / 255, blue / 255), edgecolor="gray", label=str(number))
        for number, (_, (red, green, blue)) in enumerate(entries)
    ]
    columns = min(6, len(handles))
    legend = figure.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize=8)
    for text, (name, _) in zip(legend.get_texts(), entries, strict=True):
        text.set_parse_math(False)  # a class may be called "$x" or "_x"; a label may not
        text.set_text(name)
