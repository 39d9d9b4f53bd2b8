"""Datasets by name: those in ``bench/data/datasets``, named as their modules, and a user's own.

A dataset module defines ``Settings`` (a ``DatasetSettings``) and ``load(settings, root)``;
if its files can be downloaded, also ``install(root, archives, progress=...)``. To add a
dataset, add a file there. A dataset of the user's own is ``package.module:function``, where
``function(root, **options)`` returns a ``Dataset``.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from pydantic import Field, ValidationInfo, field_validator

from bench.components import options as component_options
from bench.components.built_in import BUILT_IN
from bench.components.names import ComponentName, find, known
from bench.data.dataset import IGNORE_INDEX, Dataset, DatasetModule, DatasetSettings, Image, Mask
from bench.errors import UserError

GIVEN = ("root",)  # arguments of a user's dataset that are not options


class OwnSettings(DatasetSettings):
    """The settings of a dataset of the user's own."""

    name: ComponentName
    options: dict[str, Any] = Field({}, description="keyword arguments of a dataset of your own")

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return known("dataset", name)

    @field_validator("options")
    @classmethod
    def _known_options(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "name" in info.data:
            component_options.check("dataset", info.data["name"], options, GIVEN)
        return options


@dataclass(frozen=True)
class OwnModule:
    """A dataset of the user's own, as if it were a module of ours."""

    function: Callable[..., Any]
    Settings: type[DatasetSettings] = OwnSettings

    def load(self, settings: OwnSettings, root: Path) -> Dataset:
        """Open the dataset; UserError if its function returns none, or one without images."""
        found = self.function(root, **settings.options)
        if not isinstance(found, Dataset):
            kind = type(found).__name__
            raise UserError(f"{settings.name}: returned {kind}, not a bench.data.dataset.Dataset")
        for split in ("train", "val"):
            if split not in found.splits or not found.splits[split].names:
                raise UserError(f"{settings.name}: its dataset has no images in the {split} split")
        if lacking := [name for name, split in found.splits.items() if not split.fingerprint]:
            why = "without it a changed image would not be seen"
            raise UserError(f"{settings.name}: split {lacking[0]} has no fingerprint; {why}")
        return found


def names() -> tuple[str, ...]:
    """Return the names of all our datasets, sorted."""
    return tuple(sorted(BUILT_IN["dataset"]))


def module(name: str) -> DatasetModule:
    """Return the module of a dataset; UserError if there is none of that name."""
    component = find("dataset", name)
    if component.is_ours:
        return cast(DatasetModule, importlib.import_module(component.module))
    return cast(DatasetModule, OwnModule(component.load()))


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
        form = frozenset(split.names), len(dataset.classes), dataset.in_channels, dataset.bits
        read = functools.partial(_read_checked, split.read, *form)
        splits[name] = replace(split, read=read)
    return replace(dataset, splits=splits)


def _read_checked(
    read: Callable[[str], tuple[Image, Mask]],
    known: frozenset[str],
    num_classes: int,
    channels: int,
    bits: int,
    name: str,
) -> tuple[Image, Mask]:
    if name not in known:
        raise ValueError(f"no image {name!r} in this split")
    image, mask = read(name)
    if image.shape != (*mask.shape, channels):
        raise UserError(f"{name}: image and mask do not fit: {image.shape} and {mask.shape}")
    if image.dtype != f"uint{bits}":
        raise UserError(f"{name}: has {image.dtype} values, and the other images have uint{bits}")
    wrong = mask[(mask >= num_classes) & (mask != IGNORE_INDEX)]
    if wrong.size:
        problem = f"label {wrong.max()} in {wrong.size} pixels, but there are {num_classes} classes"
        raise UserError(f"{name}: {problem}")
    return image, mask
