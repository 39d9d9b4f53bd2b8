"""Scores of predicted labels, all derived from one integer confusion matrix.

Add up the matrices of any number of images (batches, processes): the sum is that of the whole
dataset, and so is every score taken from it. Void pixels are decided by the truth alone. A
score that a class does not have (nothing to divide by) is NaN and left out of means;
`classes_averaged` says how many remained.

The scores take matrices (..., C, C) of integers, rows = truth, and return float64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unet.overlap import class_sums


def confusion_matrix(
    prediction: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255
) -> Tensor:
    """Count the pixels of every pair of true and predicted class.

    A pixel whose truth is ``ignore_index`` counts nowhere, whatever is predicted there: its
    prediction is not even checked.

    Args:
        prediction: integer labels of any shape.
        target: integer labels of the same shape.
        num_classes: C.
        ignore_index: label of void pixels in ``target``.

    Returns:
        (C, C) int64; entry (i, j) is the number of pixels of class i predicted as class j.

    Raises:
        ValueError: if the shapes differ, labels are not integers, or one is out of range.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            "prediction and target must have the same shape, "
            f"not {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    _check_integers("prediction", prediction)
    _check_integers("target", target)
    counted = target != ignore_index
    if not _within(prediction, num_classes):  # perhaps only where nothing counts
        prediction = torch.where(counted, prediction, 0)
        _check_range("prediction", prediction, num_classes)
    # One column more than there are classes: it holds no pair of classes, so that void pixels
    # can go there, and a pair lies inside the table only if its true label is a class.
    columns = num_classes + 1
    pair = torch.where(
        counted, torch.add(prediction, target.long(), alpha=columns), num_classes
    ).flatten()
    if not _within(pair, num_classes * columns):
        _check_range("target", torch.where(counted, target, 0), num_classes)
    counts = torch.bincount(pair, minlength=num_classes * columns)
    return counts.view(num_classes, columns)[:, :num_classes].contiguous()


def iou(matrix: Tensor) -> Tensor:
    """Return intersection over union (..., C); NaN for a class neither true nor predicted."""
    intersection, truth, predicted = _marginals(matrix)
    return intersection / (truth + predicted - intersection)


def dice(matrix: Tensor) -> Tensor:
    """Return the Dice score, F1, (..., C); NaN for a class neither true nor predicted."""
    intersection, truth, predicted = _marginals(matrix)
    return 2 * intersection / (truth + predicted)


def precision(matrix: Tensor) -> Tensor:
    """Return which share of its predictions is right (..., C); NaN for a class not predicted."""
    intersection, _, predicted = _marginals(matrix)
    return intersection / predicted


def recall(matrix: Tensor) -> Tensor:
    """Return which share of its pixels is found (..., C); NaN for a class that is not there."""
    intersection, truth, _ = _marginals(matrix)
    return intersection / truth


def mean_iou(matrix: Tensor) -> Tensor:
    """Return the mean (...) of `iou` over the classes that are true or predicted somewhere."""
    return iou(matrix).nanmean(-1)


def mean_class_accuracy(matrix: Tensor) -> Tensor:
    """Return the mean (...) of `recall` over the classes that are there."""
    return recall(matrix).nanmean(-1)


def pixel_accuracy(matrix: Tensor) -> Tensor:
    """Return which share of all pixels is right (...)."""
    intersection, truth, _ = _marginals(matrix)
    return intersection.sum(-1) / truth.sum(-1)


def frequency_weighted_iou(matrix: Tensor) -> Tensor:
    """Return the mean (...) of `iou`, every class weighted by the number of its pixels."""
    _, truth, _ = _marginals(matrix)
    return (truth * iou(matrix).nan_to_num()).sum(-1) / truth.sum(-1)


def classes_averaged(matrix: Tensor) -> Tensor:
    """Return of how many classes (...) `mean_iou` is the mean; int64."""
    return iou(matrix).isfinite().sum(-1)


@torch.no_grad()
def soft_iou(
    logits: Tensor, target: Tensor, smooth: float = 1e-5, *, ignore_index: int = 255
) -> Tensor:
    """Return (I + s) / (P + T - I + s) of each class, over the whole batch: the study's score.

    I is the probability that the pixels of a class give it, P what all pixels give it and T
    the number of its pixels. No class is ever undefined: one that neither occurs nor receives
    any probability scores s / s = 1, which is what makes a mean over classes so misleading.

    Args:
        logits: (N, C, H, W).
        target: (N, H, W) int64 labels.
        smooth: s, in pixels.
        ignore_index: label of pixels that do not count.

    Returns:
        (C,) of the precision that the losses compute in, on the device of the logits.

    Raises:
        ValueError: if shapes or types do not fit, or a label is out of range.
    """
    sums = class_sums(logits, target, ignore_index=ignore_index)
    intersection, predicted, truth = (
        sums.intersection.sum(0),
        sums.predicted.sum(0),
        sums.truth.sum(0),
    )
    return (intersection + smooth) / (predicted + truth - intersection + smooth)


def _check_integers(name: str, labels: Tensor) -> None:
    if labels.is_floating_point() or labels.is_complex():
        raise ValueError(f"{name} must hold integers, not {labels.dtype}")


def _within(labels: Tensor, end: int) -> bool:
    """Return whether every label is at least 0 and below ``end``."""
    if labels.numel() == 0:
        return True
    lowest, highest = labels.aminmax()
    return bool(lowest >= 0 and highest < end)


def _check_range(name: str, labels: Tensor, num_classes: int) -> None:
    if not _within(labels, num_classes):
        lowest, highest = (int(label) for label in labels.aminmax())
        label = lowest if lowest < 0 else highest
        raise ValueError(f"{name} holds {label}, which is none of {num_classes} classes")


def _marginals(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return, each (..., C), the pixels that are right, true and predicted for every class."""
    if matrix.ndim < 2 or matrix.shape[-1] != matrix.shape[-2]:
        raise ValueError(f"a confusion matrix must be (..., C, C), not {tuple(matrix.shape)}")
    counts = matrix.cpu().double()
    return counts.diagonal(dim1=-2, dim2=-1), counts.sum(-1), counts.sum(-2)


CLASS_SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "iou": iou,
    "dice": dice,
    "precision": precision,
    "recall": recall,
}

SCORES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean_iou": mean_iou,
    "pixel_accuracy": pixel_accuracy,
    "mean_class_accuracy": mean_class_accuracy,
    "frequency_weighted_iou": frequency_weighted_iou,
}
