"""Generated landscapes and streets with labels: no files, nothing to download.

They have at small size what makes real scenes hard: unbalanced classes, rare ones that are absent
from most images, texture and light that vary from image to image, void borders, several image
sizes. The same settings give the same bytes on any machine.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from bench.data.dataset import Dataset, DatasetSettings, assemble, fingerprint, split_in_memory
from bench.data.synthetic.canvas import LABELS
from bench.data.synthetic.noise import generator
from bench.data.synthetic.scenes import draw_scene

Scenes = dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]  # name → image, labels

_COLOURS = {
    "sky": (125, 185, 240), "tree": (15, 95, 55), "building": (150, 70, 60),
    "grass": (140, 200, 80), "road": (120, 115, 130), "water": (30, 80, 175),
    "car": (245, 140, 20), "person": (225, 50, 140), "animal": (250, 225, 90),
}  # fmt: skip
# The share of images with a class. Every image has sky and grass.
_SHARES = {"tree": 0.65, "building": 0.5, "road": 0.5, "water": 0.2, "car": 0.35, "person": 0.3,
           "animal": 0.25}  # fmt: skip
_UNUSUAL = 0.3  # the share of images with another size: height and width swapped, or smaller


class Settings(DatasetSettings):
    """Settings of the generated scenes.

    ``size`` is (height, width) of most images, or the side of a square. Void pixels are either
    ignored or a class of their own. ``train``, ``val`` and ``test`` are numbers of images.
    """

    name: Literal["scenes"] = "scenes"
    void: Literal["ignore", "class"] = "ignore"
    size: int | tuple[int, int] = (120, 160)
    train: int = Field(48, ge=1, le=100_000)
    val: int = Field(16, ge=1, le=100_000)
    test: int = Field(16, ge=1, le=100_000)
    seed: int = Field(0, ge=0)

    @field_validator("size")
    @classmethod
    def _can_be_drawn(cls, size: int | tuple[int, int]) -> int | tuple[int, int]:
        sides = size if isinstance(size, tuple) else (size,)
        if min(sides) < 48 or max(sides) > 4096:
            raise ValueError("the sides of a scene must be of 48 to 4096 pixels")
        return size


def load(settings: Settings, root: Path) -> Dataset:
    """Draw every split; no file under ``root`` is read."""
    size = settings.size if isinstance(settings.size, tuple) else (settings.size, settings.size)
    counts = {"train": settings.train, "val": settings.val, "test": settings.test}
    colours = {name: _COLOURS[name] for name in LABELS}
    as_class = settings.void == "class"
    splits = {}
    for stream, (name, count) in enumerate(counts.items()):
        scenes, content = _draw_split(name, size, count, (settings.seed, stream))
        if as_class:  # labels move up by one; void, 255 + 1, becomes 0
            scenes = {key: (image, mask + np.uint8(1)) for key, (image, mask) in scenes.items()}
        splits[name] = split_in_memory(scenes, fingerprint(content, str(as_class)))
    return assemble("scenes", {"void": (0, 0, 0), **colours} if as_class else colours, splits)


@functools.lru_cache(maxsize=32)
def _draw_split(
    name: str, size: tuple[int, int], count: int, stream: tuple[int, int]
) -> tuple[Scenes, str]:
    """Draw a split from a stream of random numbers; return its scenes and their fingerprint.

    Each split has a stream of its own, so that the sizes of the others do not matter.
    """
    contents, sizes = _deal(size, count, generator(*stream, 0))
    scenes = {
        f"{name}_{index:03d}": draw_scene(generator(*stream, 1 + index), size, classes)
        for index, (size, classes) in enumerate(zip(sizes, contents, strict=True))
    }
    return scenes, fingerprint(*(array.tobytes() for scene in scenes.values() for array in scene))


def _deal(
    size: tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[list[set[str]], list[tuple[int, int]]]:
    """Return classes and size of each image, drawn so that every split has the same shares."""
    contents: list[set[str]] = [set() for _ in range(count)]
    for name, share in _SHARES.items():
        for index in rng.permutation(count)[: max(1, round(share * count))]:
            contents[index].add(name)
    sizes = [size] * count
    for turn, index in enumerate(rng.permutation(count)[: round(_UNUSUAL * count)]):
        sizes[index] = size[::-1] if turn % 2 else (size[0] * 7 // 10, size[1] * 7 // 10)
    return contents, sizes
