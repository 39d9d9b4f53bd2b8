"""Cross-entropy over the pixels that count."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from unet import overlap


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
