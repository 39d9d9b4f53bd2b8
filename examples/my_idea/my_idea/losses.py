"""A loss: a callable that makes an ``nn.Module`` (logits, labels) → scalar."""

import torch
from torch import Tensor, nn

ALPHA = 0.7  # weight of pixels that are missed; those that are invented weigh 1 - ALPHA


class FocalTversky(nn.Module):
    """(1 - Tversky index) ** (1 / gamma), averaged over the classes that occur (arXiv:1810.07842).

    The harness passes the label of void as ``ignore_index`` to a loss that has such an argument.
    """

    def __init__(self, gamma: float = 4 / 3, *, ignore_index: int = 255) -> None:
        super().__init__()
        self.gamma = gamma
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, H, W) against int64 labels (N, H, W)."""
        counted = (target != self.ignore_index).unsqueeze(1)
        truth = torch.zeros_like(logits).scatter_(1, (target.unsqueeze(1) * counted), 1.0) * counted
        probability = logits.softmax(1) * counted
        hit = (probability * truth).sum((0, 2, 3))
        missed = ((1 - probability) * truth).sum((0, 2, 3))
        invented = (probability * (1 - truth)).sum((0, 2, 3))
        index = (hit + 1) / (hit + ALPHA * missed + (1 - ALPHA) * invented + 1)
        occurs = truth.sum((0, 2, 3)) > 0
        losses = (1 - index).clamp(min=1e-6) ** (1 / self.gamma)
        return (losses * occurs).sum() / occurs.sum().clamp(min=1)
