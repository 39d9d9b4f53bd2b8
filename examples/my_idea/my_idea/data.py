"""A dataset: a function (root, **options) → ``bench.data.dataset.Dataset``."""

from pathlib import Path

import numpy as np

from bench.data.dataset import Dataset, assemble, fingerprint, split_in_memory


def discs(root: Path, *, train: int = 12, val: int = 6, side: int = 64) -> Dataset:
    """Return grey images of bright discs and rings on a darker ground; ``root`` is not read.

    A fingerprint is a digest of all that a split can return: when it changes, trials that used
    the split are measured anew.
    """
    splits = {}
    for name, count, seed in (("train", train, 0), ("val", val, 1)):
        rng = np.random.default_rng(seed)
        pairs = {f"{number:03}": _draw(rng, side) for number in range(count)}
        content = fingerprint(*(part.tobytes() for pair in pairs.values() for part in pair))
        splits[name] = split_in_memory(pairs, content)
    colours = {"ground": (40, 40, 40), "disc": (230, 120, 30), "ring": (30, 120, 230)}
    return assemble("discs", colours, splits, in_channels=1)


def _draw(rng: np.random.Generator, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (side, side, 1) uint8 and its labels (side, side) uint8."""
    rows, columns = np.mgrid[:side, :side]
    mask = np.zeros((side, side), np.uint8)
    for label in (1, 2, 1, 2):
        row, column = rng.uniform(0.15 * side, 0.85 * side, 2)
        distance = np.hypot(rows - row, columns - column)
        radius = rng.uniform(0.08, 0.16) * side
        mask[(distance < radius) if label == 1 else (abs(distance - radius) < 2)] = label
    brightness = np.where(mask > 0, 150, 90) + rng.normal(0, 25, mask.shape)
    return np.clip(brightness, 0, 255).astype(np.uint8)[..., None], mask
