"""1 - soft Dice over the classes that the labels hold."""

from __future__ import annotations

from torch import Tensor

from unet.losses.dice import DiceLoss, mean_where, scores
from unet.overlap import ClassSums


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
        return mean_where(
            1 - scores(intersection, predicted, truth, self.beta, self.smooth), truth > 0
        )
