"""Datasets: one module each; the module's name is the dataset's name in a YAML file.

A dataset module defines ``Settings`` (a ``DatasetSettings``) and ``load(settings, root)``;
one whose files can be fetched also defines ``install(root, archives, progress=...)``. Adding
a file here is all it takes to add a dataset.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError, nearest
from bench.settings import Settings

IGNORE_INDEX = 255  # the label of a pixel that counts nowhere

Image = NDArray[np.uint8]  # (H, W, channels)
Mask = NDArray[np.uint8]  # (H, W), labels; IGNORE_INDEX = void


class DatasetSettings(Settings):
    """What every dataset's settings have. A subclass narrows ``name`` to a ``Literal``."""

    name: str

    def for_seed(self, seed: int) -> DatasetSettings:
        """Return the settings of a trial with this seed; most datasets are the same for all."""
        return self


@dataclass(frozen=True)
class Split:
    """The images of one split, read when asked for.

    ``read(name)`` returns an (H, W, channels) uint8 image and its (H, W) uint8 labels, in
    arrays that are the caller's to change; it can be pickled, for loader processes.
    ``fingerprint`` is a hex digest of all that it can return.
    """

    names: tuple[str, ...]
    read: Callable[[str], tuple[Image, Mask]]
    fingerprint: str = ""


@dataclass(frozen=True)
class ImageScores:
    """Scores that a kind of images has beside those that every segmentation has.

    ``score(prediction, truth)`` takes (H, W) labels of one image, 255 = void in the truth, and
    returns numbers by name, NaN where there is none. ``metrics`` are the names of those that
    an experiment may be about; of them larger is better.
    """

    metrics: tuple[str, ...]
    score: Callable[[Mask, Mask], Mapping[str, float]]


@dataclass(frozen=True)
class Dataset:
    """Images with labels, in named splits (``train``, ``val`` and perhaps ``test``).

    ``classes[i]`` is the name of label i and ``palette[i]`` its RGB colour; ``fingerprint``
    is a hex digest of everything that any split can return. What depends on some splits only
    is better identified by theirs: installing test images changes nothing about training.
    ``scores`` are further ones that predictions are given; ``note`` is what a reader of scores
    on this dataset has to know, such as what published ones were measured on.
    """

    name: str
    classes: tuple[str, ...]
    palette: NDArray[np.uint8]  # (len(classes), 3)
    in_channels: int
    splits: Mapping[str, Split]
    fingerprint: str
    scores: ImageScores | None = None
    note: str = ""


class DatasetModule(Protocol):
    """What a module in this folder offers."""

    Settings: type[DatasetSettings]

    def load(self, settings: DatasetSettings, root: Path) -> Dataset:
        """Open the dataset that lies under ``root``; UserError says what is missing."""
        ...


def names() -> tuple[str, ...]:
    """Return the names of all datasets, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def module(name: str) -> DatasetModule:
    """Return the module of a dataset.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in names():
        raise UserError(f"unknown dataset {name!r}{nearest(name, names())}")
    return cast(DatasetModule, importlib.import_module(f"{__name__}.{name}"))


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


def class_pixels(split: Split, num_classes: int) -> NDArray[np.int64]:
    """Return (N, C) int64, how many pixels of each class each image has."""
    masks = (split.read(name)[1] for name in split.names)
    counts = [np.bincount(mask.ravel(), minlength=num_classes)[:num_classes] for mask in masks]
    return np.array(counts, dtype=np.int64)


def fingerprint(*parts: str | bytes | Path) -> str:
    """Return a hex digest of texts, bytes and the contents of files, in their order.

    Raises:
        UserError: if a file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        if isinstance(content, Path):
            content = _file_content(content)
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def _file_content(path: Path) -> bytes:
    try:
        status = path.stat()
        return _file_digest(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


@functools.lru_cache(maxsize=1 << 16)
def _file_digest(path: Path, mtime_ns: int, size: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


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
