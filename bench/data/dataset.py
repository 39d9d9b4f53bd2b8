"""What a dataset is: images with labels, in named splits, with a fingerprint of their content."""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench import plain_files
from bench.errors import UserError
from bench.settings import Settings

IGNORE_INDEX = 255  # the label of a pixel that counts nowhere

Image = NDArray[np.uint8 | np.uint16]  # (H, W, channels)
Mask = NDArray[np.uint8]  # (H, W), labels; IGNORE_INDEX = void


class DatasetSettings(Settings):
    """The base of every dataset's settings. A subclass narrows ``name`` to a ``Literal``."""

    name: str

    def for_seed(self, seed: int) -> DatasetSettings:
        """Return the settings of a trial with this seed; most datasets are the same for all."""
        return self


@dataclass(frozen=True)
class Split:
    """The images of one split, read when asked for.

    ``read(name)`` returns an (H, W, channels) image, uint8 or uint16, and its (H, W) uint8 labels,
    in arrays that are the caller's to change; it can be pickled, for loader processes.
    ``fingerprint`` is a hex digest of everything that ``read`` can return.
    """

    names: tuple[str, ...]
    read: Callable[[str], tuple[Image, Mask]]
    fingerprint: str = ""


@dataclass(frozen=True)
class ImageScores:
    """Scores of one image that a dataset has in addition to those of every segmentation.

    ``score(prediction, truth)`` takes (H, W) labels, 255 = void in the truth, and returns numbers
    by name, NaN where undefined. ``metrics`` names those that an experiment may compare; of them
    larger is better.
    """

    metrics: tuple[str, ...]
    score: Callable[[Mask, Mask], Mapping[str, float]]


@dataclass(frozen=True)
class Dataset:
    """Images with labels, in named splits (``train``, ``val`` and perhaps ``test``).

    ``classes[i]`` is the name of label i and ``palette[i]`` its RGB colour; ``fingerprint``
    is a hex digest of everything that any split can return. Results that depend on some splits
    only are identified by theirs: installing test images changes nothing about training.
    ``note`` tells readers of a report what scores on this dataset can be compared with. All images
    have as many ``bits`` a channel, 8 or 16.
    """

    name: str
    classes: tuple[str, ...]
    palette: NDArray[np.uint8]  # (len(classes), 3)
    in_channels: int
    splits: Mapping[str, Split]
    fingerprint: str
    scores: ImageScores | None = None
    note: str = ""
    bits: int = 8


class DatasetModule(Protocol):
    """What a module in ``bench/data/datasets`` defines."""

    Settings: type[DatasetSettings]

    def load(self, settings: Any, root: Path) -> Dataset:
        """Open the dataset under ``root``. Settings are its own; UserError says what is missing."""


def assemble(
    name: str,
    colours: Mapping[str, tuple[int, ...]],
    splits: Mapping[str, Split],
    *,
    in_channels: int = 3,
    bits: int = 8,
    note: str = "",
) -> Dataset:
    """Return the dataset with these splits and classes, given as name → RGB colour."""
    content = fingerprint(*colours, *(split.fingerprint for split in splits.values()))
    palette = np.array(list(colours.values()), dtype=np.uint8)
    return Dataset(
        name, tuple(colours), palette, in_channels, splits, content, note=note, bits=bits
    )


def split_in_memory(pairs: Mapping[str, tuple[Image, Mask]], content: str) -> Split:
    """Return the split of images and labels, given by name; ``content`` is its fingerprint."""
    return Split(tuple(pairs), functools.partial(_copies, pairs), content)


def _copies(pairs: Mapping[str, tuple[Image, Mask]], name: str) -> tuple[Image, Mask]:
    image, mask = pairs[name]
    return image.copy(), mask.copy()


def class_pixels(split: Split, num_classes: int) -> NDArray[np.int64]:
    """Return (N, C) int64, how many pixels of each class each image has."""
    masks = (split.read(name)[1] for name in split.names)
    counts = [np.bincount(mask.ravel(), minlength=num_classes)[:num_classes] for mask in masks]
    return np.array(counts, dtype=np.int64)


def fingerprint(*parts: str | bytes | Path) -> str:
    """Return a hex digest of texts, bytes and files' contents; UserError if one is unreadable."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, Path):
            plain_files.check(part)
            try:
                found = part.stat()
                state = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
                content = _file_digest(part, state)
            except OSError as error:
                raise UserError(f"{part}: cannot be read ({error.strerror})") from error
        else:
            content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.hexdigest()


def note_on_copies(images: Mapping[str, Iterable[Path]]) -> str:
    """Return a sentence for readers if files of two splits have the same bytes, else nothing.

    ``images`` is split → image files. Those that ``fingerprint`` has read are not read again.
    """
    found = {split: {fingerprint(file) for file in files} for split, files in images.items()}
    pairs = itertools.combinations(found, 2)
    both = [f"{one} and {other}" for one, other in pairs if found[one] & found[other]]
    if not both:
        return ""
    return (
        f"Some pictures are in two splits ({', '.join(both)}). A network that was trained on a "
        "picture scores better on it than on a new one. `python -m bench data check` names these."
    )


@functools.lru_cache(maxsize=1 << 16)
def _file_digest(path: Path, state: tuple[int, ...]) -> bytes:
    """Return the digest of a file's content, which is read again when ``state`` differs."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
