"""What datasets of cells between membranes share: their two classes, and scores of components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.data import dataset
from bench.data.dataset import Dataset, ImageScores, Mask, Split

COLOURS = {"membrane": (0, 0, 0), "cell": (255, 255, 255)}  # label 0, label 1


def assemble(name: str, splits: Mapping[str, Split], *, note: str = "") -> Dataset:
    """Return the dataset of grey slices with these splits, whose content is its fingerprint."""
    content = dataset.fingerprint(*(split.fingerprint for split in splits.values()))
    slices = dataset.assemble(name, COLOURS, splits, in_channels=1, note=note)
    return replace(slices, fingerprint=content, scores=ImageScores(("v_rand", "v_info"), scores))


def scores(prediction: Mask, truth: Mask) -> dict[str, float]:
    """Return ``unet.segments.em_scores`` of (H, W) labels."""
    from unet import segments  # imports torch, which listing datasets does not need

    return segments.em_scores(prediction, truth)
