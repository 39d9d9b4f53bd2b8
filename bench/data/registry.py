"""Datasets by name: one module each in ``bench/data/datasets``, named as in a YAML file.

A dataset module defines ``Settings`` (a ``DatasetSettings``) and ``load(settings, root)``;
one whose files can be fetched also defines ``install(root, archives, progress=...)``. Adding
a file there is all it takes to add a dataset.
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
from bench.data.dataset import (
    IGNORE_INDEX,
    Dataset,
    DatasetModule,
    DatasetSettings,
    Image,
    Mask,
    Split,
)
from bench.errors import UserError, nearest


def names() -> tuple[str, ...]:
    """Return the names of all datasets, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(folder.__path__)))


def module(name: str) -> DatasetModule:
    """Return the module of a dataset.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in names():
        raise UserError(f"unknown dataset {name!r}{nearest(name, names())}")
    return cast(DatasetModule, importlib.import_module(f"{folder.__name__}.{name}"))


def load(settings: DatasetSettings, root: Path) -> Dataset:
    """Open the dataset that the settings describe, its files under the data folder ``root``.

    Whatever its splits read is checked before it is returned.

    Raises:
        UserError: if its files are missing or not what they should be; ``read`` raises it too,
            for a mask of another size than its image or with a label that is no class.
    """
    dataset = module(settings.name).load(settings, root)
    splits = {name: _checked(split, dataset) for name, split in dataset.splits.items()}
    return replace(dataset, splits=splits)


def _checked(split: Split, dataset: Dataset) -> Split:
    read = functools.partial(
        _read_checked, split.read, frozenset(split.names), len(dataset.classes), dataset.in_channels
    )
    return replace(split, read=read)


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
        raise UserError(
            f"{name}: label {wrong.max()} in {wrong.size} pixels, "
            f"but there are {num_classes} classes"
        )
    return image, mask
