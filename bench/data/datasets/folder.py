"""A folder of your own: images, masks, and a classes.yaml that explains them; nothing is copied.

::

    names: [road, car]                    # classes in the order of their values 0, 1, ...;
                                          # or value: name, as in {0: background, 255: object}
    masks: ids                            # or palette: masks are coloured
    colours: [[128, 64, 128], [0, 0, 142]]  # of the classes, in their order
    ignore: [255]                         # values, or colours, that are void; nothing else is
    files:                                # where images and masks are
      images: leftImg8bit/{split}/*/*_leftImg8bit.png
      masks: gtFine/{split}/*/*_gtFine_labelIds.png
      splits: {train: train, val: val}    # what {split} stands for
      lists: {train: train.txt, val: val.txt}  # instead of {split}

Without ``files``, images are in ``images/``, masks in ``masks/`` under the same names. Splits are
then the subfolders ``train``, ``val`` and optionally ``test`` of both folders, or lists of names
in ``train.txt``, ``val.txt`` and optionally ``test.txt`` beside them. Masks have a lossless format.

Images have 8 or 16 bits, all of them the same, and as many channels as ``data.channels`` says: PNG,
TIFF (interleaved, planar, or a page for each channel) or npy, (H, W, channels). Images of 8 bits
in these and in other formats are read in grey (1) or colour (3), whichever they are.

Setting ``folds`` deals the images of train and val, or all where there are no splits, out to folds,
whole groups at a time and stratified by class: ``bench/data/folds.py`` says how.

docs/data.md has a classes.yaml for each of the usual layouts; ``bench data init`` proposes one.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from bench import yaml_files
from bench.data import dataset, folds
from bench.data.dataset import IGNORE_INDEX, Split
from bench.data.files import multichannel, palette
from bench.data.files.layout import Layout, find_pairs, find_pool
from bench.data.files.pairs import PairReader, Pairs, first_of
from bench.data.folds import Folds
from bench.errors import UserError
from bench.settings import Settings as BaseSettings
from bench.settings import validate

Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]


class Settings(dataset.DatasetSettings):
    """Settings of a folder: its path (relative to the data folder), channels of images, folds."""

    name: Literal["folder"] = "folder"
    path: str = Field(min_length=1)
    channels: int = Field(
        3, ge=1, le=multichannel.MAX_CHANNELS, description="of images; 1 is grey, 3 is RGB"
    )
    folds: Folds | None = Field(None, description="cross-validation, in place of train and val")

    def for_seed(self, seed: int) -> Settings:
        """Return the settings with the fold that a trial of this seed holds out."""
        if self.folds is None:
            return self
        return self.model_copy(update={"folds": self.folds.for_seed(seed)})

    @model_serializer(mode="wrap")
    def _without_folds(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave folds out where there are none: such trials keep the keys that they had."""
        values: dict[str, Any] = handler(self)
        return {key: value for key, value in values.items() if key != "folds" or value is not None}


class Classes(BaseSettings):
    """The content of ``classes.yaml``."""

    names: list[str] | dict[Byte, str] = Field(min_length=1, max_length=palette.UNKNOWN)
    masks: Literal["ids", "palette"] = "ids"
    colours: list[Colour] | None = None
    ignore: list[Byte] | list[Colour] = Field([])
    files: Layout | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Classes:
        names = self.class_names()
        if wrong := [name for name in names if not name.strip() or not name.isprintable()]:
            raise ValueError(f"names: {wrong[0]!r} is not a name")
        if len(set(names)) < len(names):
            raise ValueError("names: a name is given twice")
        if self.colours is not None and len(self.colours) != len(names):
            raise ValueError(f"colours: {len(self.colours)} for {len(names)} names")
        expected: type = int
        if self.masks == "palette":
            expected = tuple
            if self.colours is None:
                raise ValueError("colours: needed for masks that are coloured")
            if isinstance(self.names, dict):
                raise ValueError("names: must be a list if masks are coloured")
        if not all(isinstance(entry, expected) for entry in self.ignore):
            raise ValueError(f"ignore: must be {'colours' if expected is tuple else 'values'}")
        meanings = self.meanings()
        if len(set(meanings)) < len(meanings):
            raise ValueError("a value or colour is given twice")
        return self

    def class_names(self) -> tuple[str, ...]:
        """Return the names in the order of their labels."""
        return tuple(self.names.values() if isinstance(self.names, dict) else self.names)

    def meanings(self) -> list[Colour | int]:
        """Return what each class is in a mask, its value or its colour; then what is void."""
        if self.masks == "palette":
            return [*(self.colours or []), *self.ignore]
        values = self.names if isinstance(self.names, dict) else range(len(self.names))
        return [*values, *self.ignore]

    def table(self) -> NDArray[np.uint8]:
        """Return the look-up table from the values or colours of masks to labels."""
        meanings = self.meanings()
        labels = [*range(len(self.names)), *[IGNORE_INDEX] * (len(meanings) - len(self.names))]
        return palette.lookup_table(meanings, labels)


def load(settings: Settings, root: Path) -> dataset.Dataset:
    """Open the folder; UserError if something is missing, ambiguous or contradictory.

    What is wrong inside an image or a mask shows when it is read.
    """
    folder = root / settings.path
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    explained = folder / "classes.yaml"
    classes = validate(Classes, yaml_files.read_mapping(explained), source=explained)
    names = classes.class_names()
    colours = dict(zip(names, classes.colours or palette.distinct_colours(len(names)), strict=True))
    dealt, about = "", ""
    if settings.folds is None:
        found = find_pairs(folder, classes.files)
    else:
        pool, test = find_pool(folder, classes.files)
        found, dealt, about = _held_out(pool, settings.folds, classes, folder)
        found |= {"test": test} if test else {}
    splits = {name: _split(found[name], classes, settings.channels, dealt) for name in found}
    images = {name: [image for image, _ in found[name].values()] for name in found}
    note = " ".join(filter(None, (about, dataset.note_on_copies(images))))
    bits = next(filter(None, map(multichannel.bits, images["train"])), 8)
    channels = settings.channels
    return dataset.assemble("folder", colours, splits, in_channels=channels, bits=bits, note=note)


def _held_out(
    pool: Pairs, wanted: Folds, classes: Classes, folder: Path
) -> tuple[dict[str, Pairs], str, str]:
    """Return train and val, a digest of how all folds are dealt out, and a note on them."""
    chosen = wanted.for_seed(0)  # opened for no trial, as by `data check`
    groups = folds.groups(tuple(pool), chosen, folder)
    masks = tuple(mask for _, mask in pool.values())
    presence = None
    if chosen.stratify:
        presence = _presence(masks, classes, dataset.fingerprint(*masks))
    held_out = folds.deal(groups, chosen, presence) == chosen.fold
    found = {
        "train": {name: pool[name] for name, out in zip(pool, held_out, strict=True) if not out},
        "val": {name: pool[name] for name, out in zip(pool, held_out, strict=True) if out},
    }
    dealt = dataset.fingerprint(wanted.model_dump_json(), *groups)
    about = folds.note(chosen, len(pool), len(set(groups)))
    if presence is not None and (alone := folds.in_one_group(groups, presence)):
        names = first_of([classes.class_names()[label] for label in alone])
        about += f" In one fold alone: {names}; trained on or scored, never both."
    return found, dealt, about


@functools.lru_cache(maxsize=4)
def _presence(masks: tuple[Path, ...], classes: Classes, content: str) -> NDArray[np.bool_]:
    """Return (N, C), which classes each mask has. A changed ``content`` reads them again."""
    read = _reader({}, classes, 3)
    count = len(classes.names)
    rows = [
        np.bincount(read.labels(read.read_mask(one), one).ravel(), minlength=256) for one in masks
    ]
    return np.array(rows)[:, :count] > 0


def _split(pairs: Pairs, classes: Classes, channels: int, dealt: str) -> Split:
    files = [file for pair in pairs.values() for file in pair]
    meaning = classes.model_dump_json(exclude={"files"})  # which files, their content says
    meaning += dealt
    content = dataset.fingerprint(meaning, str(channels), *pairs, *files)
    return Split(tuple(pairs), _reader(pairs, classes, channels), content)


def _reader(pairs: Pairs, classes: Classes, channels: int) -> PairReader:
    coloured = classes.masks == "palette"
    return PairReader(pairs, classes.table(), channels, coloured=coloured, own_classes=True)
