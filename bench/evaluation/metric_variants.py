"""Scores that others print under one name: mean IoU, or Dice; here each has its own.

A convention maps the same `ImageCounts` to one number from 0 to 1. Several give a class that an
image (or a batch) neither holds nor is predicted to hold the full score; where most classes
are absent from most images, that is what they mainly measure. ``rewards_absent`` marks them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.counts import ImageCounts as ImageCounts

_STUDY_SMOOTH = 1e-5  # pixels
_MILESIAL_EPSILON = 1e-6  # pixels

Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Convention:
    """One way to score.

    Attributes:
        about: what it is, in one sentence.
        score: counts → the score; NaN where there is nothing to score.
        rewards_absent: whether a class that is neither there nor predicted is counted as right.
    """

    about: str
    score: Callable[[ImageCounts], float]
    rewards_absent: bool


def dataset(counts: ImageCounts) -> float:
    """Return mean IoU of one confusion matrix over all images."""
    return _mean(_iou(counts.matrices.sum(0)))


def study(counts: ImageCounts) -> float:
    """Return the study's score: `study_absent` + `study_present`."""
    return study_absent(counts) + study_present(counts)


def study_absent(counts: ImageCounts) -> float:
    """Return what `study` owes to classes that are absent from the truth of a batch."""
    scores, absent = _study_terms(counts)
    return _mean(np.where(absent, scores, 0))


def study_present(counts: ImageCounts) -> float:
    """Return what `study` owes to classes that occur in a batch."""
    scores, absent = _study_terms(counts)
    return _mean(np.where(absent, 0, scores))


def imagewise(counts: ImageCounts) -> float:
    """Return the mean over images of mean IoU over the classes that have one in the image."""
    iou = _iou(counts.matrices)
    counted = np.isfinite(iou)
    return _mean(_divided(np.where(counted, iou, 0).sum(1), counted.sum(1).astype(np.float64)))


def smp_macro_imagewise(counts: ImageCounts) -> float:
    """Return IoU averaged over images and classes, 1 where a class has none in an image."""
    return _mean(np.nan_to_num(_iou(counts.matrices), nan=1.0))


def torchmetrics_macro(counts: ImageCounts) -> float:
    """Return mean IoU of the summed matrix; a class without pixels gets 0, and weight 0."""
    matrix = counts.matrices.sum(0)
    counted = matrix.sum(0) + matrix.sum(1) > 0
    return _mean(np.nan_to_num(_iou(matrix))[counted])


def milesial_dice(counts: ImageCounts) -> float:
    """Return (2I + ε) / (P + T + ε) averaged over images and all classes but label 0."""
    intersection, truth, predicted = (pixels[:, 1:] for pixels in _marginals(counts.matrices))
    return _mean((2 * intersection + _MILESIAL_EPSILON) / (predicted + truth + _MILESIAL_EPSILON))


def mmseg(counts: ImageCounts) -> float:
    """Return mean IoU of areas that are added up over images in float32.

    A float32 sum leaves out single pixels once it is above 2²⁴, here as there.
    """
    intersection, truth, predicted = (
        pixels.astype(np.float32) for pixels in _marginals(counts.matrices)
    )
    # Unlike a sum, a running sum adds one after the other, as its loop over images does.
    overlapping = np.cumsum(intersection, axis=0, dtype=np.float32)[-1]
    union = np.cumsum(predicted + truth - intersection, axis=0, dtype=np.float32)[-1]
    return _mean(_divided(overlapping, union))


def classes_averaged(counts: ImageCounts) -> int:
    """Return of how many classes `dataset` is the mean: those true or predicted somewhere."""
    return int(np.isfinite(_iou(counts.matrices.sum(0))).sum())


def scores(counts: ImageCounts) -> dict[str, float]:
    """Return the score by every convention."""
    return {name: convention.score(counts) for name, convention in CONVENTIONS.items()}


@lru_cache(maxsize=1)  # three scores are made of it
def _study_terms(counts: ImageCounts) -> tuple[Scores, NDArray[np.bool_]]:
    """Return for each batch and class its soft IoU, and whether its truth lacks the class."""
    starts = np.arange(0, len(counts.names), counts.batch_size)
    intersection, predicted, truth = (
        np.add.reduceat(sums, starts, axis=0)
        for sums in (counts.intersection, counts.predicted, counts.truth)
    )
    return (intersection + _STUDY_SMOOTH) / (
        predicted + truth - intersection + _STUDY_SMOOTH
    ), truth == 0


def _marginals(matrices: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Return, each (..., C), the pixels that are right, true and predicted for every class."""
    return np.diagonal(matrices, axis1=-2, axis2=-1), matrices.sum(-1), matrices.sum(-2)


def _iou(matrices: NDArray[np.int64]) -> Scores:
    """Return IoU (..., C); NaN for a class neither true nor predicted."""
    intersection, truth, predicted = _marginals(matrices)
    return _divided(
        intersection.astype(np.float64), (truth + predicted - intersection).astype(np.float64)
    )


def _divided(above: Scores, below: Scores) -> Scores:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _mean(values: Scores) -> float:
    """Return the mean of the values that there are, or NaN."""
    found = values[np.isfinite(values)]
    return float(found.mean()) if found.size else float("nan")


CONVENTIONS: Mapping[str, Convention] = {
    "dataset": Convention(
        "IoU of each class from one confusion matrix over all images, averaged over the classes "
        "that are true or predicted somewhere.",
        dataset,
        rewards_absent=False,
    ),
    "study": Convention(
        "Soft IoU of each class over a batch of images with 1e-5 added above and below, averaged "
        "over all classes, then over batches.",
        study,
        rewards_absent=True,
    ),
    "imagewise": Convention(
        "IoU of each class of each image, averaged over the classes that are true or predicted "
        "in the image, then over images.",
        imagewise,
        rewards_absent=False,
    ),
    "smp_macro_imagewise": Convention(
        "iou_score of segmentation-models-pytorch with reduction macro-imagewise: IoU averaged "
        "over all classes of all images, 1 where a class is neither true nor predicted.",
        smp_macro_imagewise,
        rewards_absent=True,
    ),
    "torchmetrics_macro": Convention(
        "MulticlassJaccardIndex of torchmetrics with average macro: IoU of each class over all "
        "images, averaged over the classes that are true or predicted somewhere.",
        torchmetrics_macro,
        rewards_absent=False,
    ),
    "milesial_dice": Convention(
        "The validation score of milesial/Pytorch-UNet: Dice of predicted labels with 1e-6 added "
        "above and below, averaged over images and all classes but label 0.",
        milesial_dice,
        rewards_absent=True,
    ),
    "mmseg": Convention(
        "mIoU of MMSegmentation: areas of each class added up over all images in float32, IoU "
        "averaged over the classes that are true or predicted somewhere.",
        mmseg,
        rewards_absent=False,
    ),
}
