"""Losses by name: those of `unet.losses`, and some of segmentation_models_pytorch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from bench.data.dataset import IGNORE_INDEX
from bench.errors import nearest
from unet import losses, overlap


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


def smp_jaccard(smooth: float = 0.0) -> nn.Module:
    """Build soft IoU over the batch; absent classes count as perfect."""
    return _smp("JaccardLoss", smooth=smooth)


def smp_lovasz() -> nn.Module:
    """Build Lovász-softmax over the batch's pixels and present classes."""
    return _smp("LovaszLoss")


def smp_focal(gamma: float = 2.0, alpha: float | None = None) -> nn.Module:
    """Build the focal loss: each class against all others, by a sigmoid."""
    return _smp("FocalLoss", gamma=gamma, alpha=alpha)


def smp_tversky(
    alpha: float = 0.5, beta: float = 0.5, gamma: float = 1.0, smooth: float = 0.0
) -> nn.Module:
    """Build the Tversky loss: ``alpha`` weighs false positives, ``beta`` false negatives."""
    return _smp("TverskyLoss", alpha=alpha, beta=beta, gamma=gamma, smooth=smooth)


def build(name: str, options: Mapping[str, float]) -> nn.Module:
    """Build a loss that maps logits (N, C, H, W) and int64 labels (N, H, W) to a scalar."""
    return LOSSES[name](**options)


def check(name: str, options: Mapping[str, float]) -> None:
    """Raise ValueError if a known loss takes no such option or value.

    Nothing of segmentation_models_pytorch is imported.
    """
    # Asked for only if there are options: it takes longer than all the rest of a plan's checks.
    known = inspect.signature(LOSSES[name]).parameters if options else ()
    takes = [option for option in known if option != "ignore_index"]
    for option in options:
        if option not in takes:
            hint = nearest(option, takes) if takes else "; it takes none"
            raise ValueError(f"loss {name!r} takes no option {option!r}{hint}")
    if name in losses.LOSSES:
        try:
            LOSSES[name](**options)
        except ValueError as error:
            raise ValueError(f"loss {name!r}: {error}") from error
        return
    for option, value in options.items():
        least, most = SMP_RANGES.get((name, option)) or SMP_RANGES["", option]
        if not least <= value <= most or math.isinf(value):
            limits = f"at least {least:g}" + ("" if math.isinf(most) else f" and at most {most:g}")
            raise ValueError(f"loss {name!r}: {option} must be {limits}, not {value:g}")


def takes_weights(name: str) -> bool:
    """Tell whether a loss takes a weight for each pixel as a third argument, (N, H, W)."""
    return LOSSES[name] is losses.PixelWeightedCrossEntropyLoss


SMP_RANGES = {  # (loss, option); an empty name stands for all other losses
    ("smp:focal", "alpha"): (0.0, 1.0),
    ("", "alpha"): (0.0, math.inf),
    ("", "beta"): (0.0, math.inf),
    ("", "gamma"): (1.0, math.inf),  # below 1 the gradient at a perfect prediction is infinite
    ("", "smooth"): (0.0, math.inf),
}

LOSSES: dict[str, Callable[..., nn.Module]] = {
    **losses.LOSSES,
    "smp:jaccard": smp_jaccard,
    "smp:lovasz": smp_lovasz,
    "smp:focal": smp_focal,
    "smp:tversky": smp_tversky,
}
