"""Generated landscapes and streets with labels: no files, nothing to download.

Made so that what makes real scenes hard shows at toy size: unbalanced classes, most of the
rare ones absent from most images, textures and light that vary from image to image, void
borders, images of several sizes. The same settings give the same bytes on any machine.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, field_validator

from bench.data.dataset import Dataset, DatasetSettings, Image, Mask, Split, fingerprint
from bench.data.synthetic.scenes import LABELS, draw_scene

Scenes = Mapping[str, tuple[Image, Mask]]

_COLOURS = {
    "sky": (125, 185, 240),
    "tree": (15, 95, 55),
    "building": (150, 70, 60),
    "grass": (140, 200, 80),
    "road": (120, 115, 130),
    "water": (30, 80, 175),
    "car": (245, 140, 20),
    "person": (225, 50, 140),
    "animal": (250, 225, 90),
}
# The share of images that a class is put into. Sky and grass are the ground of every image.
_SHARES = {
    "tree": 0.65,
    "building": 0.5,
    "road": 0.5,
    "water": 0.2,
    "car": 0.35,
    "person": 0.3,
    "animal": 0.25,
}
_STREAMS = {"train": 0, "val": 1, "test": 2}  # of random numbers
_UNUSUAL = 0.3  # the share of images of another size: turned, or smaller


class Settings(DatasetSettings):
    """Settings of the generated scenes.

    ``size`` is (height, width) of most images, or the side of a square; some are turned and
    some are smaller. Void pixels either count nowhere or are a class of their own. ``train``,
    ``val`` and ``test`` are numbers of images.
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
    def _has_room(cls, size: int | tuple[int, int]) -> int | tuple[int, int]:
        sides = size if isinstance(size, tuple) else (size,)
        if min(sides) < 48:
            raise ValueError("a side under 48 pixels leaves no room for a scene")
        if max(sides) > 4096:
            raise ValueError("a side of more than 4096 pixels takes too long to draw")
        return size


def load(settings: DatasetSettings, root: Path) -> Dataset:
    """Draw every split; nothing is looked for under ``root``."""
    if not isinstance(settings, Settings):
        raise ValueError(f"not the settings of scenes: {settings!r}")
    size = settings.size if isinstance(settings.size, tuple) else (settings.size, settings.size)
    counts = {"train": settings.train, "val": settings.val, "test": settings.test}
    as_class = settings.void == "class"
    splits = {
        name: _split(name, size, count, settings.seed, void_is_class=as_class)
        for name, count in counts.items()
    }
    colours = {"void": (0, 0, 0)} if as_class else {}
    colours |= {name: _COLOURS[name] for name in LABELS}
    return Dataset(
        name="scenes",
        classes=tuple(colours),
        palette=np.array(list(colours.values()), dtype=np.uint8),
        in_channels=3,
        splits=splits,
        fingerprint=fingerprint(*colours, *(split.fingerprint for split in splits.values())),
    )


def _split(
    name: str, size: tuple[int, int], count: int, seed: int, *, void_is_class: bool
) -> Split:
    scenes, content = _draw_split(name, size, count, seed)
    read = functools.partial(_read, scenes, void_is_class)
    return Split(tuple(scenes), read, fingerprint(content, str(void_is_class)))


def _read(scenes: Scenes, void_is_class: bool, name: str) -> tuple[Image, Mask]:
    image, mask = scenes[name]
    # Labels move up by one to make room for void, which as 255 + 1 becomes 0.
    return image.copy(), mask + np.uint8(1) if void_is_class else mask.copy()


@functools.lru_cache(maxsize=32)
def _draw_split(name: str, size: tuple[int, int], count: int, seed: int) -> tuple[Scenes, str]:
    """Draw a split; return its scenes by name, and the digest of all their bytes."""
    stream = seed, _STREAMS[name]  # of its own, so that the other splits' counts do not matter
    casts, sizes = _deal(size, count, _generator(*stream, 0))
    scenes = {
        f"{name}_{index:03d}": draw_scene(
            _generator(*stream, 1 + index), sizes[index], casts[index]
        )
        for index in range(count)
    }
    return scenes, fingerprint(*(array.tobytes() for scene in scenes.values() for array in scene))


def _deal(
    size: tuple[int, int], count: int, rng: np.random.Generator
) -> tuple[list[set[str]], list[tuple[int, int]]]:
    """Deal classes and sizes to the images like cards, so that every split has the shares."""
    height, width = size
    casts: list[set[str]] = [set() for _ in range(count)]
    for name, share in _SHARES.items():
        for index in rng.permutation(count)[: max(1, round(share * count))]:
            casts[index].add(name)
    sizes = [size] * count
    for turn, index in enumerate(rng.permutation(count)[: round(_UNUSUAL * count)]):
        sizes[index] = (width, height) if turn % 2 else (height * 7 // 10, width * 7 // 10)
    return casts, sizes


def _generator(*seed: int) -> np.random.Generator:
    # Not default_rng: which generator that is may change with numpy's version.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
