"""What ``bench data`` does with datasets: list, install and check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data import registry
from bench.data.dataset import IGNORE_INDEX, Dataset, DatasetSettings, Split
from bench.data.duplicates import Look, look
from bench.data.files.archives import Progress
from bench.errors import UserError
from bench.settings import validate


@dataclass(frozen=True)
class Listed:
    """A dataset in the list. ``problem`` is None if it can be opened with default settings."""

    name: str
    about: str
    problem: str | None


@dataclass
class SplitReport:
    """What the images and masks of a split contain.

    ``pixels[label]`` and ``images_with[label]`` are (256,) counts of pixels and of images that have
    any; ``sizes`` counts images by (height, width); ``looks`` is what the images are compared by.
    Images that could not be read have their errors in ``problems``, and are counted in ``images``
    only.
    """

    images: int
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    images_with: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    looks: list[Look] = field(default_factory=list)
    problems: list[UserError] = field(default_factory=list)

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of each label among the pixels that are not void; zeros if there are none."""
        return self.pixels / max(1, int(self.pixels[:IGNORE_INDEX].sum()))

    @property
    def void_share(self) -> float:
        """The share of void among all pixels."""
        return float(self.pixels[IGNORE_INDEX] / max(1, self.pixels.sum()))


def settings_for(name: str, values: Mapping[str, Any]) -> DatasetSettings:
    """Return the settings of a dataset from values of YAML; UserError says what is wrong."""
    return validate(registry.module(name).Settings, {"name": name, **values}, source=name)


def listing(root: Path) -> tuple[Listed, ...]:
    """Return every dataset, and whether its files are under ``root``."""
    entries = []
    for name in registry.names():
        problem = None
        try:
            registry.load(settings_for(name, {}), root)
        except UserError as error:
            problem = str(error)
        about = (registry.module(name).__doc__ or "").partition("\n")[0]
        entries.append(Listed(name, about, problem))
    return tuple(entries)


def install(
    name: str, root: Path, sources: Sequence[Path] = (), *, progress: Progress | None = None
) -> tuple[str, ...]:
    """Download a dataset, or unpack it from archives, and return lines that say what was done.

    UserError if the dataset cannot be installed, or installing it failed.
    """
    put: Callable[..., tuple[str, ...]] | None = getattr(registry.module(name), "install", None)
    if put is None:
        needs = "`python -m bench data list` says what it needs"
        raise UserError(f"{name}: nothing to install; {needs}")
    try:
        return put(root, sources, progress=progress)
    except OSError as error:
        raise UserError(f"{root}: {name} cannot be installed ({error})") from error


def check(dataset: Dataset) -> dict[str, SplitReport]:
    """Read every image and mask, and return a report on each split, its problems included."""
    return {name: read(split) for name, split in dataset.splits.items()}


def read(split: Split, *, compare: bool = True) -> SplitReport:
    """Read every image and mask of a split; ``compare`` keeps what images are compared by."""
    report = SplitReport(len(split.names))
    for name in split.names:
        try:
            image, mask = split.read(name)
        except UserError as error:
            report.problems.append(error)
            continue
        counts = np.bincount(mask.ravel(), minlength=256)
        report.sizes[mask.shape[0], mask.shape[1]] += 1
        report.pixels += counts
        report.images_with += counts > 0
        if compare:
            report.looks.append(look(name, image))
    return report
