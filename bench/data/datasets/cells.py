"""Generated slices of tissue, cells and the membranes between them: nothing to download.

A small substitute for ISBI-2012: one grey channel, two classes, membranes of one or two pixels
between cells that touch. As there, the typical error joins two cells through a gap, and threads
and blobs inside cells look like membranes. The same settings give the same bytes on any machine.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

from pydantic import Field

from bench.data import membranes
from bench.data.dataset import Dataset, DatasetSettings, Split, fingerprint, split_in_memory
from bench.data.synthetic.cells import draw_slice
from bench.data.synthetic.noise import generator


class Settings(DatasetSettings):
    """Settings of the generated slices.

    ``size`` is the side of a slice and ``spacing`` the mean distance of cells, both in pixels;
    ``train``, ``val`` and ``test`` are numbers of slices.
    """

    name: Literal["cells"] = "cells"
    size: int = Field(128, ge=48, le=4096)
    spacing: int = Field(20, ge=8, le=256)
    train: int = Field(12, ge=1, le=10_000)
    val: int = Field(12, ge=1, le=10_000)
    test: int = Field(12, ge=1, le=10_000)
    seed: int = Field(0, ge=0)


def load(settings: Settings, root: Path) -> Dataset:
    """Draw every split; no file under ``root`` is read."""
    counts = {"train": settings.train, "val": settings.val, "test": settings.test}
    splits = {
        name: _draw_split(name, stream, count, settings.size, settings.spacing, settings.seed)
        for stream, (name, count) in enumerate(counts.items())
    }
    return membranes.assemble("cells", splits)


@functools.lru_cache(maxsize=32)
def _draw_split(name: str, stream: int, count: int, size: int, spacing: int, seed: int) -> Split:
    slices = {}
    for index in range(count):
        # Random numbers of its own for each slice, so that the number of others does not matter.
        image, mask = draw_slice(generator(seed, stream, index), (size, size), spacing)
        slices[f"{name}_{index:03d}"] = image[..., None], mask
    content = fingerprint(*(array.tobytes() for pair in slices.values() for array in pair))
    return split_in_memory(slices, content)
