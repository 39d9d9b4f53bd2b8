"""Losses of logits (N, C, H, W) against labels (N, H, W): cross-entropy, Dice, their sum.

Every loss takes ``ignore_index``: a pixel with that label changes neither the value nor any
gradient, and where every pixel has it both are zero. All compute in float32 also under
autocast (float64 stays float64) and return a scalar. Labels out of range are refused as
`unet.overlap` says.

"Dice" alone says little: what is averaged, and what becomes of a class that does not occur,
differ from one published version to the next. Each version has a class and a name here;
docs/losses.md puts them side by side.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unet import overlap
from unet.overlap import ClassSums, class_sums

__all__ = [
    "LOSSES",
    "ClassSums",
    "CrossEntropyLoss",
    "DiceCELoss",
    "DiceImageLoss",
    "DiceLoss",
    "DicePooledLoss",
    "DicePresentLoss",
    "PixelWeightedCrossEntropyLoss",
    "class_sums",
]


class CrossEntropyLoss(nn.Module):
    """-log p(true class), averaged over the pixels that count."""

    def __init__(self, *, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, H, W) against int64 labels (N, H, W).

        Raises:
            ValueError: if shapes or types do not fit, or a label is out of range.
        """
        pixels = overlap.check(logits, target, self.ignore_index)
        losses = F.cross_entropy(
            pixels.logits, target, ignore_index=self.ignore_index, reduction="sum"
        )
        return losses / pixels.number()


class PixelWeightedCrossEntropyLoss(nn.Module):
    """Cross-entropy with a weight for each pixel, such as U-Net's border weights.

    The sum of w(x) · -log p(true class) (arXiv:1505.04597, eq. 1) divided by the number of
    pixels that count: weights of 1, or none given, are `CrossEntropyLoss`, and twice the weights
    twice the loss.
    """

    def __init__(self, *, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Return the loss of logits (N, C, H, W), int64 labels and weights (both N, H, W).

        Raises:
            ValueError: if shapes or types do not fit, or a label is out of range.
        """
        pixels = overlap.check(logits, target, self.ignore_index)
        if weight is not None and weight.shape != target.shape:
            raise ValueError(f"weight must be {tuple(target.shape)}, not {tuple(weight.shape)}")
        losses = F.cross_entropy(
            pixels.logits, target, ignore_index=self.ignore_index, reduction="none"
        )
        if weight is not None:
            losses = weight.to(losses.dtype).masked_fill(pixels.ignored, 0) * losses
        return losses.sum() / pixels.number()


class DiceLoss(nn.Module):
    """1 - the mean over classes of the soft F-beta score, each taken over the whole batch.

    The score of a class is ((1 + β²) tp + s) / ((1 + β²) tp + β² fn + fp + s), where tp is the
    probability that its pixels give it, fn what they give to others and fp what it gets
    elsewhere (Dice for β = 1, Milletari et al. 2016, arXiv:1606.04797, without the squares).
    A class that the batch does not hold scores s / (fp + s): nearly 0 unless the network all
    but rules it out, and then nearly 1.

    Args:
        beta: weight of what is missed over what is invented; above 1 favours recall.
        smooth: s, in pixels.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: if ``beta`` or ``smooth`` is not above 0.
    """

    def __init__(self, beta: float = 1.0, smooth: float = 1e-5, *, ignore_index: int = 255) -> None:
        super().__init__()
        _check_dice(beta, smooth)
        self.beta = beta
        self.smooth = smooth
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, H, W) against int64 labels (N, H, W).

        Raises:
            ValueError: if shapes or types do not fit, or a label is out of range.
        """
        return self.of_sums(class_sums(logits, target, ignore_index=self.ignore_index))

    def of_sums(self, sums: ClassSums) -> Tensor:
        """Return the loss from the sums for each image and class; what versions differ in."""
        intersection, predicted, truth = (
            sums.intersection.sum(0),
            sums.predicted.sum(0),
            sums.truth.sum(0),
        )
        return 1 - _scores(intersection, predicted, truth, self.beta, self.smooth).mean()


class DiceImageLoss(DiceLoss):
    """1 - the mean over images, and over classes in each, of the score of `DiceLoss`.

    So a class counts in every image that does not hold it. Images in which no pixel counts are
    left out. Arguments and errors are those of `DiceLoss`.
    """

    def of_sums(self, sums: ClassSums) -> Tensor:
        """Return the loss from the sums for each image and class."""
        scores = _scores(sums.intersection, sums.predicted, sums.truth, self.beta, self.smooth)
        return _mean_where(1 - scores.mean(1), sums.truth.sum(1) > 0)


class DicePresentLoss(DiceLoss):
    """1 - the mean of the score of `DiceLoss` over the classes that the batch's labels hold.

    What the network gives to a class that does not occur costs only what the others lack by it.
    Arguments and errors are those of `DiceLoss`.
    """

    def of_sums(self, sums: ClassSums) -> Tensor:
        """Return the loss from the sums for each image and class."""
        intersection, predicted, truth = (
            sums.intersection.sum(0),
            sums.predicted.sum(0),
            sums.truth.sum(0),
        )
        return _mean_where(
            1 - _scores(intersection, predicted, truth, self.beta, self.smooth), truth > 0
        )


class DicePooledLoss(DiceLoss):
    """1 - one soft Dice score over all classes, images and pixels together.

    Each pixel gives its classes 1 of probability and 1 of truth, so that the score
    (2 tp + s) / (P + T + s) has P = T = the number of pixels n: the loss is
    1 - (tp + s/2) / (n + s/2), or but for s the mean over pixels of 1 - p(true class). No
    class is weighed against another, and β would cancel.

    Args:
        smooth: s, in pixels.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: if ``smooth`` is not above 0.
    """

    def __init__(self, smooth: float = 1e-6, *, ignore_index: int = 255) -> None:
        super().__init__(1.0, smooth, ignore_index=ignore_index)

    def of_sums(self, sums: ClassSums) -> Tensor:
        """Return the loss from the sums for each image and class."""
        intersection, predicted, truth = (
            sums.intersection.sum(),
            sums.predicted.sum(),
            sums.truth.sum(),
        )
        return 1 - _scores(intersection, predicted, truth, self.beta, self.smooth)


class DiceCELoss(nn.Module):
    """``dice_weight`` · `DiceLoss` + ``ce_weight`` · `CrossEntropyLoss`, from one softmax.

    Args:
        beta: as in `DiceLoss`.
        smooth: as in `DiceLoss`.
        dice_weight: factor of the Dice term.
        ce_weight: factor of the cross-entropy.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: if ``beta`` or ``smooth`` is not above 0, or a weight is below 0.
    """

    def __init__(
        self,
        beta: float = 1.0,
        smooth: float = 1e-5,
        *,
        dice_weight: float = 1.0,
        ce_weight: float = 1.0,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        if dice_weight < 0 or ce_weight < 0:
            raise ValueError(f"weights must not be negative: {dice_weight=}, {ce_weight=}")
        self.dice = DiceLoss(beta, smooth, ignore_index=ignore_index)
        self.dice_weight = dice_weight
        self.ce_weight = ce_weight
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, H, W) against int64 labels (N, H, W).

        Raises:
            ValueError: if shapes or types do not fit, or a label is out of range.
        """
        sums = class_sums(logits, target, ignore_index=self.ignore_index)
        cross_entropy = -sums.log_likelihood.sum() / sums.truth.sum().clamp(min=1)
        return self.ce_weight * cross_entropy + self.dice_weight * self.dice.of_sums(sums)


def _scores(
    intersection: Tensor, predicted: Tensor, truth: Tensor, beta: float, smooth: float
) -> Tensor:
    # With fn = truth - tp and fp = predicted - tp the denominator is β² truth + predicted + s.
    return ((1 + beta**2) * intersection + smooth) / (beta**2 * truth + predicted + smooth)


def _mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values, 0 where there are none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def _check_dice(beta: float, smooth: float) -> None:
    if not (beta > 0 and smooth > 0):
        raise ValueError(f"beta and smooth must be above 0: {beta=}, {smooth=}")


LOSSES: dict[str, type[nn.Module]] = {
    "ce": CrossEntropyLoss,
    "weighted_ce": PixelWeightedCrossEntropyLoss,
    "dice": DiceLoss,
    "dice_image": DiceImageLoss,
    "dice_present": DicePresentLoss,
    "dice_pooled": DicePooledLoss,
    "dice+ce": DiceCELoss,
}
