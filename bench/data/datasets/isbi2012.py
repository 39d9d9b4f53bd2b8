"""ISBI-2012: 30 slices of electron microscopy, membrane against cell; the U-Net paper's data.

The files lie under the data folder as ``isbi2012/train-{volume,labels}.tif``. The challenge
keeps the labels of its test stack to itself, so there is no test split; neighbouring slices
look alike, so validation takes a block of consecutive ones.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from bench.data import membranes
from bench.data.dataset import (
    Dataset,
    DatasetSettings,
    Image,
    ImageScores,
    Mask,
    Split,
    fingerprint,
)
from bench.data.files.images import read_stack
from bench.errors import UserError

SLICES = 30

NOTE = (
    "Scores on isbi2012 are of slices of the public training stack that were held out of training, "
    "contiguous blocks of them. They are not the challenge's: the labels of its test stack are "
    "hidden, and its leaderboard's numbers cannot be compared with these. There the U-Net paper "
    "reports a warping error of 0.000353, a Rand error of 0.0382 and a pixel error of 0.0611 "
    "(arXiv:1505.04597, table 1). V_rand and V_info are other measures, by which the challenge "
    "ranked later on, and of them more is better."
)


class Settings(DatasetSettings):
    """Settings of ISBI-2012: validation takes block ``fold`` of ``folds``, training the rest.

    ``fold: seed`` is cross-validation: the trial with seed s holds out block s modulo ``folds``,
    so that seeds 0 to ``folds`` - 1 hold out each block once. Arms are compared within a seed,
    hence within a block, and the block is no level of a factor. Seeds that hold out the same block
    are not independent of each other: give each block one seed where arms are compared.
    """

    name: Literal["isbi2012"] = "isbi2012"
    fold: int | Literal["seed"] = 0
    folds: int = Field(5, ge=2, le=SLICES)

    def for_seed(self, seed: int) -> Settings:
        """Return the settings with the block that a trial of this seed holds out."""
        return self if self.fold != "seed" else self.model_copy(update={"fold": seed % self.folds})

    @field_validator("fold", mode="before")
    @classmethod
    def _is_a_block(cls, fold: object) -> object:
        if fold != "seed" and not (isinstance(fold, int) and fold >= 0):
            raise ValueError(f"an integer from 0 on, or seed, not {fold!r}")
        return fold

    @model_validator(mode="after")
    def _fold_exists(self) -> Settings:
        if isinstance(self.fold, int) and self.fold >= self.folds:
            raise ValueError(f"fold {self.fold} of {self.folds}: folds count from 0")
        return self


def load(settings: DatasetSettings, root: Path) -> Dataset:
    """Open the training stack.

    Raises:
        UserError: if a file is missing, or not what the challenge offers.
    """
    if not isinstance(settings, Settings):
        raise ValueError(f"not the settings of isbi2012: {settings!r}")
    files = [root / "isbi2012" / f"train-{kind}.tif" for kind in ("volume", "labels")]
    for file in files:
        if not file.is_file():
            raise UserError(f"{file}: no such file; put the challenge's training stack there")
    chosen = settings.for_seed(0)  # for whoever only wants to know what there is
    content = fingerprint(*files)
    volume, labels = _stacks(*files, content)
    blocks = np.array_split(np.arange(SLICES), chosen.folds)
    held_out = {int(number) for number in blocks[int(chosen.fold)]}
    splits = {
        "train": _split(volume, labels, set(range(SLICES)) - held_out, content),
        "val": _split(volume, labels, held_out, content),
    }
    return Dataset(
        name="isbi2012",
        classes=tuple(membranes.COLOURS),
        palette=np.array(list(membranes.COLOURS.values()), dtype=np.uint8),
        in_channels=1,
        splits=splits,
        fingerprint=fingerprint(*(split.fingerprint for split in splits.values())),
        scores=ImageScores(membranes.METRICS, membranes.scores),
        note=NOTE,
    )


def _split(
    volume: NDArray[np.uint8], labels: NDArray[np.uint8], numbers: set[int], content: str
) -> Split:
    index = {f"slice_{number:02d}": number for number in sorted(numbers)}
    read = functools.partial(_read, volume, labels, index)
    return Split(tuple(index), read, fingerprint(content, *index))


def _read(
    volume: NDArray[np.uint8], labels: NDArray[np.uint8], index: dict[str, int], name: str
) -> tuple[Image, Mask]:
    return volume[index[name], ..., None].copy(), labels[index[name]].copy()


@functools.lru_cache(maxsize=2)
def _stacks(
    volume_file: Path, labels_file: Path, content: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images and labels, (30, H, W) each. ``content`` makes changed files be read anew."""
    volume, colours = read_stack(volume_file), read_stack(labels_file)
    for file, stack in ((volume_file, volume), (labels_file, colours)):
        if len(stack) != SLICES:
            raise UserError(f"{file}: has {len(stack)} slices, not {SLICES}")
    if volume.shape != colours.shape:
        raise UserError(
            f"{labels_file}: slices of {colours.shape[1]}x{colours.shape[2]}, "
            f"the images have {volume.shape[1]}x{volume.shape[2]}"
        )
    unknown = colours[(colours != 0) & (colours != 255)]
    if unknown.size:
        raise UserError(
            f"{labels_file}: value {unknown[0]} among {unknown.size} pixels that are neither "
            "0 (membrane) nor 255 (cell)"
        )
    return volume, (colours == 255).astype(np.uint8)
