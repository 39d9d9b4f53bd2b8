"""A folder of your own: images, masks, and a classes.yaml that explains the masks.

::

    names: [road, car]                    # classes in the order of their values 0, 1, ...;
                                          # or value: name, as in {7: road, 26: car}
    masks: ids                            # or palette: masks are coloured
    colours: [[128, 64, 128], [0, 0, 142]]  # of the classes, in their order
    ignore: [254]                         # values, or colours, that count nowhere; of values
                                          # 255 is one in any case, unless it is a class

Images lie in ``images/``, masks in ``masks/``, called as their images, in a lossless format.
Splits are the subfolders ``train``, ``val`` and perhaps ``test`` of both folders, or lists of
names in ``train.txt``, ``val.txt`` and perhaps ``test.txt`` beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from bench import yaml_files
from bench.data.dataset import (
    IGNORE_INDEX,
    Dataset,
    DatasetSettings,
    Image,
    Mask,
    Split,
    fingerprint,
)
from bench.data.files import palette
from bench.data.files.images import read_colour, read_grey, read_ids
from bench.data.files.pairs import Pairs, find_pairs
from bench.errors import UserError, nearest
from bench.settings import Settings as BaseSettings

_CACHE_BYTES = 1 << 30  # decoded pictures that a split keeps in memory

Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]


class Settings(DatasetSettings):
    """Settings of a folder: where it lies (relative to the data folder), grey or colour."""

    name: Literal["folder"] = "folder"
    path: str = Field(min_length=1)
    channels: Literal[1, 3] = 3


class Classes(BaseSettings):
    """What ``classes.yaml`` says."""

    names: list[str] | dict[Byte, str] = Field(min_length=1, max_length=palette.UNKNOWN)
    masks: Literal["ids", "palette"] = "ids"
    colours: list[Colour] | None = None
    ignore: list[Byte] | list[Colour] = Field([])

    @model_validator(mode="after")
    def _fits_together(self) -> Classes:
        names = self.class_names()
        for name in names:
            if not name.strip() or not name.isprintable():
                raise ValueError(f"names: {name!r} is no name")
        if len(set(names)) < len(names):
            raise ValueError("names: a name is given twice")
        if self.colours is not None and len(self.colours) != len(names):
            raise ValueError(f"colours: {len(self.colours)} for {len(names)} names")
        wanted: type = int
        if self.masks == "palette":
            wanted = tuple
            if self.colours is None:
                raise ValueError("colours: needed for masks that are coloured")
            if isinstance(self.names, dict):
                raise ValueError("names: a list is wanted where masks are coloured")
        if not all(isinstance(entry, wanted) for entry in self.ignore):
            raise ValueError(f"ignore: {'colours' if wanted is tuple else 'values'} are wanted")
        meanings = [*self.meanings(), *self.ignore]
        if len(set(meanings)) < len(meanings):
            raise ValueError("a value or colour is given twice")
        return self

    def class_names(self) -> tuple[str, ...]:
        """Return the names in the order of their labels."""
        return tuple(self.names.values() if isinstance(self.names, dict) else self.names)

    def meanings(self) -> list[Colour | int]:
        """Return what stands for each class in a mask: its value, or its colour."""
        if self.masks == "palette":
            return [*(self.colours or [])]
        return list(self.names) if isinstance(self.names, dict) else [*range(len(self.names))]

    def table(self) -> NDArray[np.uint8]:
        """Return the look-up table from what masks hold to labels."""
        meanings = [*self.meanings(), *self.ignore]
        if self.masks == "ids" and IGNORE_INDEX not in meanings:
            meanings.append(IGNORE_INDEX)
        labels = [*range(len(self.names)), *[IGNORE_INDEX] * (len(meanings) - len(self.names))]
        return palette.lookup_table(meanings, labels)


def load(settings: DatasetSettings, root: Path) -> Dataset:
    """Open the folder.

    Raises:
        UserError: if something is missing, ambiguous or contradictory; what is wrong inside
            an image or a mask shows when it is read.
    """
    if not isinstance(settings, Settings):
        raise ValueError(f"not the settings of a folder: {settings!r}")
    folder = root / settings.path
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    classes = read_classes(folder / "classes.yaml")
    names = classes.class_names()
    splits = {
        split: _split(pairs, classes, settings.channels)
        for split, pairs in find_pairs(folder).items()
    }
    return Dataset(
        name="folder",
        classes=names,
        palette=np.array(classes.colours or palette.distinct_colours(len(names)), dtype=np.uint8),
        in_channels=settings.channels,
        splits=splits,
        fingerprint=fingerprint(*names, *(split.fingerprint for split in splits.values())),
    )


def read_classes(path: Path) -> Classes:
    """Read a ``classes.yaml``; UserError names the key that is wrong."""
    values = yaml_files.read_mapping(path)
    for key in values:
        if key not in Classes.model_fields:
            raise UserError(f"{path}: unknown key {key!r}{nearest(str(key), Classes.model_fields)}")
    try:
        return Classes.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
        message = first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}: {f'{key}: {message}' if key else message}") from error


def _split(pairs: Pairs, classes: Classes, channels: Literal[1, 3]) -> Split:
    files = [file for pair in pairs.values() for file in pair]
    content = fingerprint(classes.model_dump_json(), str(channels), *pairs, *files)
    read = _Reader(pairs, classes.table(), channels, coloured=classes.masks == "palette")
    return Split(tuple(pairs), read, content)


class _Reader:
    """Reads pairs, and keeps as many of them decoded as _CACHE_BYTES allows."""

    def __init__(
        self, pairs: Pairs, table: NDArray[np.uint8], channels: Literal[1, 3], *, coloured: bool
    ) -> None:
        self.pairs = pairs
        self.table = table
        self.read_image = read_colour if channels == 3 else read_grey
        self.read_mask = read_colour if coloured else read_ids
        self.kept: dict[str, tuple[Image, Mask]] = {}
        self.room = _CACHE_BYTES

    def __call__(self, name: str) -> tuple[Image, Mask]:
        if name not in self.kept:
            image, mask = self._decode(*self.pairs[name])
            self.room -= image.nbytes + mask.nbytes
            if self.room < 0:
                return image, mask
            self.kept[name] = image, mask
        image, mask = self.kept[name]
        return image.copy(), mask.copy()

    def _decode(self, image_file: Path, mask_file: Path) -> tuple[Image, Mask]:
        image, stored = self.read_image(image_file), self.read_mask(mask_file)
        if stored.shape[:2] != image.shape[:2]:
            raise UserError(
                f"{mask_file}: {stored.shape[0]}x{stored.shape[1]} pixels, "
                f"its image has {image.shape[0]}x{image.shape[1]}"
            )
        return image, palette.to_labels(stored, self.table, source=mask_file)
