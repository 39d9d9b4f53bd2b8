"""Borders between objects: the paper's weight map, and an IoU that looks only at boundaries."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

_REACH = 7.0  # in units of sigma: where d1 + d2 is more, less than 3e-11 of w0 is left
_NOWHERE = -1  # the label of pixels that belong to no class
_MOST_CLASSES = 32767  # that OpenCV's largest integers tell apart


def border_weight_map(
    labels: NDArray[np.integer[Any]],
    *,
    w0: float = 10.0,
    sigma: float = 5.0,
    class_weights: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.float32]:
    """Return the weight of each pixel, high where two instances come close to each other.

    Background pixels get ``w_c + w0 * exp(-(d1 + d2)**2 / (2 * sigma**2))``, where d1 and d2 are
    the Euclidean distances in pixels to the nearest pixel of the nearest and of the second
    nearest instance. Pixels of instances get w_c alone, and so does the background where there
    are fewer than two instances. Instances that touch have no background between them and gain
    nothing: separate them in the labels first.

    Args:
        labels: (H, W) integers, 0 = background, every other value one instance.
        w0: weight added where both distances vanish.
        sigma: width of the borders in pixels.
        class_weights: w_c of background and foreground; ``balanced_weights`` computes those
            that balance the classes over a training set, as the paper does.

    Returns:
        (H, W) float32.

    Raises:
        ValueError: if ``labels`` are not two-dimensional integers, a weight is negative or not
            finite, or ``sigma`` is not a positive number.

    Source: arXiv:1505.04597, equation 2.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be (H, W) integers, not {labels.shape} of {labels.dtype}")
    if not (0 < sigma < math.inf):
        raise ValueError(f"sigma must be a positive number, not {sigma}")
    if not all(0 <= weight < math.inf for weight in (w0, *class_weights)):
        raise ValueError(f"weights must not be negative: w0={w0}, class_weights={class_weights}")
    background = labels == 0
    nearest, second = _two_distances(labels, math.ceil(_REACH * sigma))
    border = w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2))
    weights = np.where(background, class_weights[0] + border, class_weights[1])
    return weights.astype(np.float32)


def balanced_weights(label_images: Iterable[NDArray[np.integer[Any]]]) -> tuple[float, float]:
    """Return w_c of background and foreground that make both count equally.

    The paper balances the class frequencies of its training set but gives no formula. Here a
    class's weight is n / (2 * n_c) for n pixels in all, n_c of them of the class: over all pixels
    the weights have the mean 1, and both classes the same sum. Where only one class occurs, both
    weights are 1.

    Args:
        label_images: the training set's label images, 0 = background; any shapes.

    Raises:
        ValueError: if there are no pixels at all.
    """
    background = foreground = 0
    for labels in label_images:
        inside = int(np.count_nonzero(labels))
        background, foreground = background + labels.size - inside, foreground + inside
    pixels = background + foreground
    if pixels == 0:
        raise ValueError("class weights need at least one pixel")
    if background == 0 or foreground == 0:
        return 1.0, 1.0
    return pixels / (2 * background), pixels / (2 * foreground)


def _two_distances(
    labels: NDArray[np.integer[Any]], reach: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each pixel's distances to the two nearest instances, inf where beyond ``reach``.

    One exact distance transform an instance, over its bounding box and ``reach`` pixels around
    it: no pixel outside that window is nearer than ``reach``.
    """
    names, position = np.unique(labels, return_inverse=True)
    numbers = np.zeros(names.size, dtype=np.int32)
    numbers[names != 0] = np.arange(1, np.count_nonzero(names) + 1)
    instances = numbers[position].reshape(labels.shape)  # 0 = background, 1, 2, 3, ...
    nearest = np.full(labels.shape, np.inf)
    second = np.full(labels.shape, np.inf)
    for number, box in enumerate(ndimage.find_objects(instances), start=1):
        window = tuple(slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        distance = ndimage.distance_transform_edt(instances[window] != number)
        second[window] = np.minimum(second[window], np.maximum(nearest[window], distance))
        nearest[window] = np.minimum(nearest[window], distance)
    return nearest, second


def boundary_iou(
    prediction: Tensor,
    target: Tensor,
    num_classes: int,
    *,
    ignore_index: int = 255,
    width: float = 0.02,
) -> Tensor:
    """Return each class's IoU of the boundaries of prediction and truth.

    For a data set, add up ``boundary_counts`` over its images and divide once. Arguments and
    errors are those of ``boundary_counts``.

    Returns:
        (C,) float64 on the CPU; NaN for a class that neither of the two contains.

    Source: Cheng et al., "Boundary IoU" (CVPR 2021), arXiv:2103.16562.
    """
    intersection, union = boundary_counts(
        prediction, target, num_classes, ignore_index=ignore_index, width=width
    ).double()
    return torch.div(intersection, union)


def boundary_counts(
    prediction: Tensor,
    target: Tensor,
    num_classes: int,
    *,
    ignore_index: int = 255,
    width: float = 0.02,
) -> Tensor:
    """Count the pixels of intersection and union of the boundaries of prediction and truth.

    A class's boundary is the part of its mask that eroding takes away, by a 3 x 3 square and as
    many times as the boundary is pixels wide: ``width`` times the diagonal, rounded, at least
    once. What lies outside the image belongs to no class, so the image's border is boundary.

    Void is decided by the truth alone: its void pixels are taken out of every mask of both,
    before eroding. So they count in neither boundary, the edge of a void region is boundary to
    both alike, and a prediction that is right wherever the truth is decided scores 1.

    Args:
        prediction: (H, W) or (N, H, W) integer labels; the counts of N images are added up.
        target: the same shape; 0 ... num_classes - 1, or ``ignore_index`` for void.
        num_classes: number of classes C.
        ignore_index: the label of void pixels.
        width: width of a boundary, as a share of the image's diagonal.

    Returns:
        (2, C) int64 on the CPU: intersections, then unions. Counts of several images add up.

    Raises:
        ValueError: if the shapes differ or do not fit, the labels are not integers or out of
            range outside the void, or a number is out of range.
    """
    if prediction.shape != target.shape or target.ndim not in (2, 3):
        raise ValueError(
            f"prediction and target must both be (H, W) or (N, H, W), "
            f"not {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    if not 1 <= num_classes <= _MOST_CLASSES:
        raise ValueError(f"num_classes must be 1 to {_MOST_CLASSES}, not {num_classes}")
    if not 0 < width <= 1:
        raise ValueError(f"width must be more than 0 and at most 1, not {width}")
    void = target.cpu().numpy() == ignore_index
    guesses = _decided("prediction", prediction, void, num_classes)
    truths = _decided("target", target, void, num_classes)
    height, breadth = target.shape[-2:]
    thickness = max(1, round(width * math.hypot(height, breadth)))
    counts = np.zeros((2, num_classes), dtype=np.int64)
    for guess, truth in zip(guesses, truths, strict=True):
        guess, truth = _boundaries(guess, thickness), _boundaries(truth, thickness)
        both = _count(guess[guess == truth], num_classes)
        counts += both, _count(guess, num_classes) + _count(truth, num_classes) - both
    return torch.from_numpy(counts)


def _decided(
    name: str, labels: Tensor, void: NDArray[np.bool_], num_classes: int
) -> NDArray[np.int16]:
    """Return the labels as (N, H, W) with ``_NOWHERE`` in the void, all others checked."""
    if labels.is_floating_point():
        raise ValueError(f"{name} must be integer labels, not {labels.dtype}")
    decided = np.where(void, 0, labels.cpu().numpy())
    for label in (decided.min(initial=0), decided.max(initial=0)):
        if not 0 <= label < num_classes:
            raise ValueError(f"{name} has label {label}, known are 0 to {num_classes - 1}")
    marked = np.where(void, _NOWHERE, decided.astype(np.int16))
    return marked.reshape(-1, *void.shape[-2:])


def _boundaries(labels: NDArray[np.int16], thickness: int) -> NDArray[np.int16]:
    """Return the labels where some pixel within the square is another's, else ``_NOWHERE``.

    The square has ``thickness`` pixels to each side: 3 x 3 erosions, one after the other, add
    up to it. Least and greatest label in it erode the masks of all classes at once.
    """
    square = np.ones((2 * thickness + 1, 2 * thickness + 1), dtype=np.uint8)
    outside = (float(_NOWHERE),)
    least = cv2.erode(labels, square, borderType=cv2.BORDER_CONSTANT, borderValue=outside)
    greatest = cv2.dilate(labels, square, borderType=cv2.BORDER_CONSTANT, borderValue=outside)
    return np.where((least != labels) | (greatest != labels), labels, np.int16(_NOWHERE))


def _count(labels: NDArray[np.int16], num_classes: int) -> NDArray[np.int64]:
    """Return how many pixels each class has, ``_NOWHERE`` left out: (C,)."""
    return np.bincount(labels[labels >= 0], minlength=num_classes)
