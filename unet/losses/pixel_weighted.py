"""Cross-entropy with a weight for each pixel."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unet import overlap


class PixelWeightedCrossEntropyLoss(nn.Module):
    """Cross-entropy with a weight for each pixel, such as U-Net's border weights.

    The sum of w(x) · -log p(true class) (arXiv:1505.04597, eq. 1) divided by the number of
    pixels that count: weights of 1, or none given, are `CrossEntropyLoss`, and twice the weights
    twice the loss.
    """

    pixel_weights = True  # it takes them as a third argument

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
