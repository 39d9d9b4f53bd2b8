"""1 - one soft Dice over all classes together."""

from __future__ import annotations

from torch import Tensor

from unet.losses.dice import DiceLoss, scores
from unet.overlap import ClassSums


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
        return 1 - scores(intersection, predicted, truth, self.beta, self.smooth)
