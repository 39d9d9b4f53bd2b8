"""1 - soft F-beta of each class over the batch, and what the other versions share."""

from __future__ import annotations

from torch import Tensor, nn

from unet.overlap import ClassSums, class_sums


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
        return 1 - scores(intersection, predicted, truth, self.beta, self.smooth).mean()


def scores(
    intersection: Tensor, predicted: Tensor, truth: Tensor, beta: float, smooth: float
) -> Tensor:
    """Return soft F-beta scores of sums, all of one shape, as `DiceLoss` defines them."""
    # With fn = truth - tp and fp = predicted - tp the denominator is β² truth + predicted + s.
    return ((1 + beta**2) * intersection + smooth) / (beta**2 * truth + predicted + smooth)


def mean_where(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values, 0 where there are none."""
    return (values * chosen).sum() / chosen.sum().clamp(min=1)


def _check_dice(beta: float, smooth: float) -> None:
    if not (beta > 0 and smooth > 0):
        raise ValueError(f"beta and smooth must be above 0: {beta=}, {smooth=}")
