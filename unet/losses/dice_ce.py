"""The sum of Dice and cross-entropy, from one softmax."""

from __future__ import annotations

from torch import Tensor, nn

from unet.losses.dice import DiceLoss
from unet.overlap import class_sums


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
