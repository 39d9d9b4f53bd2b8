"""1 - soft Dice of each image."""

from __future__ import annotations

from torch import Tensor

from unet.losses.dice import DiceLoss, mean_where, scores
from unet.overlap import ClassSums


class DiceImageLoss(DiceLoss):
    """1 - the mean over images, and over classes in each, of the score of `DiceLoss`.

    So a class counts in every image that does not hold it. Images in which no pixel counts are
    left out. Arguments and errors are those of `DiceLoss`.
    """

    def of_sums(self, sums: ClassSums) -> Tensor:
        """Return the loss from the sums for each image and class."""
        values = scores(sums.intersection, sums.predicted, sums.truth, self.beta, self.smooth)
        return mean_where(1 - values.mean(1), sums.truth.sum(1) > 0)
