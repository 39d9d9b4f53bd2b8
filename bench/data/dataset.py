"""What a dataset is: images with labels, in named splits, and a digest of all that is in them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.errors import UserError
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
