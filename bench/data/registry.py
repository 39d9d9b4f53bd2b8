"""Datasets by name: one module each in ``bench/data/datasets``, named as in a YAML file.

A dataset module defines ``Settings`` (a ``DatasetSettings``) and ``load(settings, root)``;
if its files can be downloaded, also ``install(root, archives, progress=...)``. To add a
dataset, add a file there.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from bench.data import datasets as folder
from bench.data.dataset import IGNORE_INDEX, Dataset, DatasetModule, DatasetSettings, Image, Mask
from bench.errors import UserError, nearest


def names() -> tuple[str, ...]:
    """Return the names of all datasets, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(folder.__path__)))


def module(name: str) -> DatasetModule:
    """Return the module of a dataset; UserError if there is none of that name."""
    if name not in names():
        raise UserError(f"unknown dataset {name!r}{nearest(name, names())}")
    return cast(DatasetModule, importlib.import_module(f"{folder.__name__}.{name}"))


def load(settings: DatasetSettings, root: Path) -> Dataset:
    """Open the dataset that the settings describe, its files under the data folder ``root``.

    Every pair that its splits read is checked.

    Raises:
        UserError: if its files are missing or not what they should be; ``read`` raises it too,
            for a mask whose size differs from its image's or with a label that is no class.
        ValueError: if the settings are not those of the dataset that they name.
    """
    found = module(settings.name)
    if not isinstance(settings, found.Settings):
        raise ValueError(f"not the settings of {settings.name}: {settings!r}")
    dataset = found.load(settings, root)
    splits = {}
    for name, split in dataset.splits.items():
        form = frozenset(split.names), len(dataset.classes), dataset.in_channels
        read = functools.partial(_read_checked, split.read, *form)
        splits[name] = replace(split, read=read)
    return replace(dataset, splits=splits)


def _read_checked(
    read: Callable[[str], tuple[Image, Mask]],
    known: frozenset[str],
    num_classes: int,
    channels: int,
    name: str,
) -> tuple[Image, Mask]:
    if name not in known:
        raise ValueError(f"no image {name!r} in this split")
    image, mask = read(name)
    if image.shape != (*mask.shape, channels):
        raise UserError(f"{name}: image and mask do not fit: {image.shape} and {mask.shape}")
    wrong = mask[(mask >= num_classes) & (mask != IGNORE_INDEX)]
    if wrong.size:
        problem = f"label {wrong.max()} in {wrong.size} pixels, but there are {num_classes} classes"
        raise UserError(f"{name}: {problem}")
    return image, mask
