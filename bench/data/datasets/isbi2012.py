"""ISBI-2012: 30 slices of electron microscopy, membranes and cells; the U-Net paper's data.

The files are ``isbi2012/train-{volume,labels}.tif`` under the data folder. The labels of the
challenge's test stack are not public, so there is no test split. Neighbouring slices look
alike, so a block of consecutive slices is held out for validation.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from bench.data import membranes
from bench.data.dataset import Dataset, DatasetSettings, fingerprint, split_in_memory
from bench.data.files.images import read_stack
from bench.errors import UserError

SLICES = 30
Stack = NDArray[np.uint8]  # (SLICES, H, W)

NOTE = (
    "Scores on isbi2012 are measured on contiguous blocks of slices of the public training stack, "
    "held out of training. They cannot be compared with the challenge's leaderboard, which uses "
    "a test stack whose labels are hidden. There the U-Net paper reports a warping error of "
    "0.000353, a Rand error of 0.0382 and a pixel error of 0.0611 (arXiv:1505.04597, table 1). "
    "V_rand and V_info are other measures, which the challenge later ranked by; of both, more is "
    "better."
)


class Settings(DatasetSettings):
    """Settings of ISBI-2012: block ``fold`` of ``folds`` is for validation, the rest for training.

    ``fold: seed`` is cross-validation: the trial with seed s holds out block s modulo ``folds``,
    so that seeds 0 to ``folds`` - 1 hold out each block once. Arms are compared within a seed,
    hence within a block. Seeds that hold out the same block are not independent, so use at most
    ``folds`` seeds to compare arms.
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


def load(settings: Settings, root: Path) -> Dataset:
    """Open the training stack; UserError if a file is missing, or not the challenge's."""
    files = [root / "isbi2012" / f"train-{kind}.tif" for kind in ("volume", "labels")]
    for file in files:
        if not file.exists():
            raise UserError(f"{file}: no such file; put the challenge's training stack there")
    content = fingerprint(*files)
    volume, labels = _stacks(*files, content)
    chosen = settings.for_seed(0)  # opened for no trial, as by `data check`
    held_out = np.array_split(np.arange(SLICES), chosen.folds)[int(chosen.fold)]
    members = {"train": np.setdiff1d(np.arange(SLICES), held_out), "val": held_out}
    splits = {}
    for split, numbers in members.items():
        pairs = {f"slice_{n:02d}": (volume[n, ..., None], labels[n]) for n in numbers}
        splits[split] = split_in_memory(pairs, fingerprint(content, *pairs))
    return membranes.assemble("isbi2012", splits, note=NOTE)


@functools.lru_cache(maxsize=2)
def _stacks(volume_file: Path, labels_file: Path, content: str) -> tuple[Stack, Stack]:
    """Return images and labels. A changed ``content`` reads them again."""
    volume, colours = read_stack(volume_file), read_stack(labels_file)
    for file, stack in ((volume_file, volume), (labels_file, colours)):
        if len(stack) != SLICES:
            raise UserError(f"{file}: has {len(stack)} slices, not {SLICES}")
    size, image_size = (f"{stack.shape[1]}x{stack.shape[2]}" for stack in (colours, volume))
    if size != image_size:
        raise UserError(f"{labels_file}: slices of {size}, the images have {image_size}")
    unknown = colours[(colours != 0) & (colours != 255)]
    if unknown.size:
        count = f"{unknown.size} pixels that are neither 0 (membrane) nor 255 (cell)"
        raise UserError(f"{labels_file}: value {unknown[0]} among {count}")
    return volume, (colours == 255).astype(np.uint8)
