"""Losses of segmentation_models_pytorch, under the contract of `unet.losses`."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.data.dataset import IGNORE_INDEX
from unet import overlap

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
# Below 1 the gradient at a perfect prediction is infinite.
Exponent = Annotated[float, Field(ge=1, allow_inf_nan=False)]


class SmpLoss(nn.Module):
    """A loss of segmentation_models_pytorch under the contract of `unet.losses`.

    Their losses treat ``ignore_index`` differently: where all pixels are ignored, one returns NaN
    and another an empty tensor. Here the loss is given only the pixels that count, as one column of
    an image, logits (1, C, P, 1) and labels (1, P, 1); none of the losses below distinguishes
    images. It computes in float32, whatever the type of the logits.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, H, W) against int64 labels (N, H, W).

        ValueError if shapes or types do not fit, or a label is out of range.
        """
        pixels = overlap.check(logits, target, IGNORE_INDEX)
        counted = ~pixels.ignored
        chosen = pixels.logits.float().movedim(1, -1)[counted]  # (P, C)
        if len(chosen) == 0:
            return chosen.sum()  # 0, and so is its gradient
        labels = pixels.labels[counted][None, :, None]  # (1, P, 1)
        with torch.autocast(logits.device.type, enabled=False):
            value: Tensor = self.loss(chosen.T[None, :, :, None], labels)
        return value


def _smp(name: str, **options: float | None) -> nn.Module:
    import segmentation_models_pytorch as smp  # seconds to import, for these losses only

    return SmpLoss(getattr(smp.losses, name)("multiclass", **options))


def jaccard(smooth: Weight = 0.0) -> nn.Module:
    """Build soft IoU over the batch; absent classes count as perfect."""
    return _smp("JaccardLoss", smooth=smooth)


def lovasz() -> nn.Module:
    """Build Lovász-softmax over the batch's pixels and present classes."""
    return _smp("LovaszLoss")


def focal(gamma: Exponent = 2.0, alpha: Share | None = None) -> nn.Module:
    """Build the focal loss: each class against all others, by a sigmoid."""
    return _smp("FocalLoss", gamma=gamma, alpha=alpha)


def tversky(
    alpha: Weight = 0.5, beta: Weight = 0.5, gamma: Exponent = 1.0, smooth: Weight = 0.0
) -> nn.Module:
    """Build the Tversky loss: ``alpha`` weighs false positives, ``beta`` false negatives."""
    return _smp("TverskyLoss", alpha=alpha, beta=beta, gamma=gamma, smooth=smooth)
