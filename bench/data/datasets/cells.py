"""Generated slices of tissue, cells against the membranes between them: nothing to download.

ISBI-2012 at toy size: one grey channel, two classes, cells that touch with membranes of one or
two pixels between them, and as typical mistake two cells that are joined through a gap. Threads
and blobs inside cells look like membranes. The same settings give the same bytes on any machine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

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
from bench.data.synthetic.cells import draw_tissue

Slices = Mapping[str, tuple[Image, Mask]]

_STREAMS = {"train": 0, "val": 1, "test": 2}  # of random numbers


class Settings(DatasetSettings):
    """Settings of the generated slices.

    ``size`` is the side of a slice and ``spacing`` the way from cell to cell, both in pixels;
    ``train``, ``val`` and ``test`` are numbers of slices.
    """

    name: Literal["cells"] = "cells"
    size: int = Field(128, ge=48, le=4096)
    spacing: int = Field(20, ge=8, le=256)
    train: int = Field(12, ge=1, le=10_000)
    val: int = Field(12, ge=1, le=10_000)
    test: int = Field(12, ge=1, le=10_000)
    seed: int = Field(0, ge=0)


def load(settings: DatasetSettings, root: Path) -> Dataset:
    """Draw every split; nothing is looked for under ``root``."""
    if not isinstance(settings, Settings):
        raise ValueError(f"not the settings of cells: {settings!r}")
    splits = {
        name: _split(name, count, settings)
        for name, count in {
            "train": settings.train,
            "val": settings.val,
            "test": settings.test,
        }.items()
    }
    return Dataset(
        name="cells",
        classes=tuple(membranes.COLOURS),
        palette=np.array(list(membranes.COLOURS.values()), dtype=np.uint8),
        in_channels=1,
        splits=splits,
        fingerprint=fingerprint(*(split.fingerprint for split in splits.values())),
        scores=ImageScores(membranes.METRICS, membranes.scores),
    )


def _split(name: str, count: int, settings: Settings) -> Split:
    slices, content = _draw_split(name, count, settings.size, settings.spacing, settings.seed)
    return Split(tuple(slices), functools.partial(_read, slices), content)


def _read(slices: Slices, name: str) -> tuple[Image, Mask]:
    image, mask = slices[name]
    return image.copy(), mask.copy()


@functools.lru_cache(maxsize=32)
def _draw_split(name: str, count: int, size: int, spacing: int, seed: int) -> tuple[Slices, str]:
    """Draw a split; return its slices by name, and the digest of all their bytes."""
    slices = {}
    for index in range(count):
        # A stream for each slice: the number of others does not matter. And not default_rng, as
        # which generator that is may change with numpy's version.
        stream = np.random.SeedSequence((seed, _STREAMS[name], index))
        image, mask = draw_tissue(
            np.random.Generator(np.random.PCG64(stream)), (size, size), spacing
        )
        slices[f"{name}_{index:03d}"] = image[..., None], mask
    return slices, fingerprint(*(array.tobytes() for pair in slices.values() for array in pair))
