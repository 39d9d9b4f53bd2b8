"""Cross-entropy over the pixels that count."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unet import overlap


class CrossEntropyLoss(nn.Module):
    """-log p(true class), averaged over the pixels that count.

    Args:
        weights: of each class; the mean is then weighted, as `torch.nn.functional.cross_entropy`
            weighs it. None weighs all alike.
        ignore_index: the label of pixels that do not count.

    Raises:
        ValueError: if a weight is below 0, or all are 0.
    """

    weights: Tensor | None

    def __init__(self, weights: list[float] | None = None, *, ignore_index: int = 255) -> None:
        super().__init__()
        if weights is not None and (min(weights, default=0) < 0 or not any(weights)):
            raise ValueError(f"weights must be 0 or more, and one above 0: {weights}")
        given = None if weights is None else torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", given, persistent=False)
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, H, W) against int64 labels (N, H, W).

        Raises:
            ValueError: if shapes or types do not fit, or a label is out of range.
        """
        pixels = overlap.check(logits, target, self.ignore_index)
        if self.weights is None:
            losses = F.cross_entropy(
                pixels.logits, target, ignore_index=self.ignore_index, reduction="sum"
            )
            return losses / pixels.number()
        classes = pixels.logits.shape[1]
        if len(self.weights) != classes:
            raise ValueError(f"{len(self.weights)} weights for {classes} classes")
        weights = self.weights.to(pixels.logits)
        losses = F.cross_entropy(
            pixels.logits, target, weights, ignore_index=self.ignore_index, reduction="sum"
        )
        counted = target[~pixels.ignored]
        # Where no pixel has a weight, the loss is 0, and so is its gradient.
        return losses / weights[counted].sum().clamp(min=torch.finfo(weights.dtype).tiny)
