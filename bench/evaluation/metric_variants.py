"""Variants of mean IoU and Dice that other projects report under the same name.

A variant maps `ImageCounts` to one number from 0 to 1. Several give the full score to a class that
an image (or a batch) neither contains nor is predicted to contain; where most classes are absent
from most images, they mainly measure that. ``rewards_absent`` marks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.counts import ImageCounts

_STUDY_SMOOTH = 1e-5  # pixels
_MILESIAL_EPSILON = 1e-6  # pixels

Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Variant:
    """One definition of a metric; ``score`` is NaN where there is nothing to score."""

    score: Callable[[ImageCounts], float]
    rewards_absent: bool = False  # counts a class that is neither there nor predicted as right

    @property
    def about(self) -> str:
        """What it is, in a sentence for readers: the docstring of its function."""
        return " ".join((self.score.__doc__ or "").split())


def dataset(counts: ImageCounts) -> float:
    """IoU of each class from one confusion matrix over all images, averaged over the classes that
    are true or predicted somewhere."""
    return _mean(_iou(counts.matrices.sum(0)))


def study(counts: ImageCounts) -> float:
    """Soft IoU of each class over a batch of images with 1e-5 added above and below, averaged over
    all classes, then over batches."""
    return study_absent(counts) + study_present(counts)


def study_absent(counts: ImageCounts) -> float:
    """Return the part of `study` from classes that are absent from the truth of a batch."""
    scores, absent = _study_terms(counts)
    return _mean(np.where(absent, scores, 0))


def study_present(counts: ImageCounts) -> float:
    """Return the part of `study` from classes that occur in a batch."""
    scores, absent = _study_terms(counts)
    return _mean(np.where(absent, 0, scores))


def imagewise(counts: ImageCounts) -> float:
    """IoU of each class of each image, averaged over the classes that are true or predicted in the
    image, then over images."""
    iou = _iou(counts.matrices)
    counted = np.isfinite(iou)
    return _mean(_divided(np.where(counted, iou, 0).sum(1), counted.sum(1).astype(np.float64)))


def smp_macro_imagewise(counts: ImageCounts) -> float:
    """iou_score of segmentation-models-pytorch with reduction macro-imagewise: IoU averaged over
    all classes of all images, 1 where a class is neither true nor predicted."""
    return _mean(np.nan_to_num(_iou(counts.matrices), nan=1.0))


def torchmetrics_macro(counts: ImageCounts) -> float:
    """MulticlassJaccardIndex of torchmetrics with average macro: IoU of each class over all images,
    averaged over the classes that are true or predicted somewhere."""
    matrix = counts.matrices.sum(0)
    counted = matrix.sum(0) + matrix.sum(1) > 0
    return _mean(np.nan_to_num(_iou(matrix))[counted])


def milesial_dice(counts: ImageCounts) -> float:
    """The validation score of milesial/Pytorch-UNet: Dice of predicted labels with 1e-6 added above
    and below, averaged over images and all classes but label 0."""
    intersection, truth, predicted = (pixels[:, 1:] for pixels in _marginals(counts.matrices))
    return _mean((2 * intersection + _MILESIAL_EPSILON) / (predicted + truth + _MILESIAL_EPSILON))


def mmseg(counts: ImageCounts) -> float:
    """mIoU of MMSegmentation: areas of each class added up over all images in float32, IoU averaged
    over the classes that are true or predicted somewhere."""
    # Once a float32 sum is above 2²⁴, single pixels are lost in it, as in MMSegmentation.
    intersection, truth, predicted = (m.astype(np.float32) for m in _marginals(counts.matrices))
    # cumsum adds one image after the other, as MMSegmentation's loop does; sum adds in pairs.
    overlapping = np.cumsum(intersection, axis=0, dtype=np.float32)[-1]
    union = np.cumsum(predicted + truth - intersection, axis=0, dtype=np.float32)[-1]
    return _mean(_divided(overlapping, union))


def classes_averaged(counts: ImageCounts) -> int:
    """Return how many classes `dataset` averages: those true or predicted somewhere."""
    return int(np.isfinite(_iou(counts.matrices.sum(0))).sum())


def scores(counts: ImageCounts) -> dict[str, float]:
    """Return the score of every variant."""
    return {name: variant.score(counts) for name, variant in VARIANTS.items()}


def _study_terms(counts: ImageCounts) -> tuple[Scores, NDArray[np.bool_]]:
    """Return for each batch and class its soft IoU, and whether its truth lacks the class."""
    starts = np.arange(0, len(counts.names), counts.batch_size)
    intersection, predicted, truth = (
        np.add.reduceat(sums, starts, axis=0)
        for sums in (counts.intersection, counts.predicted, counts.truth)
    )
    union = predicted + truth - intersection
    return (intersection + _STUDY_SMOOTH) / (union + _STUDY_SMOOTH), truth == 0


def _marginals(matrices: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Return, each (..., C), intersection, true and predicted pixels of every class."""
    return np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(-1), matrices.sum(-2)


def _iou(matrices: NDArray[np.int64]) -> Scores:
    """Return IoU (..., C); NaN for a class neither true nor predicted."""
    intersection, truth, predicted = _marginals(matrices)
    union = truth + predicted - intersection
    return _divided(intersection.astype(np.float64), union.astype(np.float64))


def _divided(above: Scores, below: Scores) -> Scores:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _mean(values: Scores) -> float:
    """Return the mean of the values that there are, or NaN."""
    found = values[np.isfinite(values)]
    return float(found.mean()) if found.size else float("nan")


VARIANTS: Mapping[str, Variant] = {
    "dataset": Variant(dataset),
    "study": Variant(study, rewards_absent=True),
    "imagewise": Variant(imagewise),
    "smp_macro_imagewise": Variant(smp_macro_imagewise, rewards_absent=True),
    "torchmetrics_macro": Variant(torchmetrics_macro),
    "milesial_dice": Variant(milesial_dice, rewards_absent=True),
    "mmseg": Variant(mmseg),
}
