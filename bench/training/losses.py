"""Names of losses, and what builds them: the library's, and some of another package."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from bench.errors import UserError, nearest
from unet import losses, overlap


class SmpLoss(nn.Module):
    """A loss of segmentation_models_pytorch under the contract of `unet.losses`.

    Each of theirs treats ``ignore_index`` in its own way: where all pixels are ignored one is
    NaN and one an empty tensor. Here their loss sees the pixels that count and no others, as
    one column of an image; none of those named below looks at images apart. It computes in
    float32, whatever the logits are.

    Args:
        loss: takes logits (1, C, P, 1) and int64 labels (1, P, 1).
        ignore_index: the label of pixels that do not count.
    """

    def __init__(self, loss: nn.Module, *, ignore_index: int = 255) -> None:
        super().__init__()
        self.loss = loss
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits (N, C, H, W) against int64 labels (N, H, W).

        Raises:
            ValueError: if shapes or types do not fit, or a label is out of range.
        """
        pixels = overlap.check(logits, target, self.ignore_index)
        counted = ~pixels.ignored
        chosen = pixels.logits.float().movedim(1, -1)[counted]  # (P, C)
        if len(chosen) == 0:
            return chosen.sum()  # 0, and so is its gradient
        labels = pixels.labels[counted][None, :, None]  # (1, P, 1)
        with torch.autocast(logits.device.type, enabled=False):
            value: Tensor = self.loss(chosen.T[None, :, :, None], labels)
        return value


def smp_jaccard(smooth: float = 0.0, *, ignore_index: int = 255) -> nn.Module:
    """Build ``JaccardLoss``: soft IoU over the batch, absent classes count as solved."""
    import segmentation_models_pytorch as smp  # seconds to import; only these need it

    return SmpLoss(smp.losses.JaccardLoss("multiclass", smooth=smooth), ignore_index=ignore_index)


def smp_lovasz(*, ignore_index: int = 255) -> nn.Module:
    """Build ``LovaszLoss``: Lovász-softmax over the batch's pixels and present classes."""
    import segmentation_models_pytorch as smp

    return SmpLoss(smp.losses.LovaszLoss("multiclass"), ignore_index=ignore_index)


def smp_focal(
    gamma: float = 2.0, alpha: float | None = None, *, ignore_index: int = 255
) -> nn.Module:
    """Build ``FocalLoss``: each class on its own against all others, by a sigmoid."""
    import segmentation_models_pytorch as smp

    loss = smp.losses.FocalLoss("multiclass", gamma=gamma, alpha=alpha)
    return SmpLoss(loss, ignore_index=ignore_index)


def smp_tversky(
    alpha: float = 0.5,
    beta: float = 0.5,
    gamma: float = 1.0,
    smooth: float = 0.0,
    *,
    ignore_index: int = 255,
) -> nn.Module:
    """Build ``TverskyLoss``: ``alpha`` weighs what is invented, ``beta`` what is missed."""
    import segmentation_models_pytorch as smp

    loss = smp.losses.TverskyLoss("multiclass", alpha=alpha, beta=beta, gamma=gamma, smooth=smooth)
    return SmpLoss(loss, ignore_index=ignore_index)


def build(name: str, options: Mapping[str, float]) -> nn.Module:
    """Build a loss that maps logits (N, C, H, W) and int64 labels (N, H, W) to a scalar.

    Raises:
        UserError: as `check` does.
    """
    check(name, options)
    return LOSSES[name](**options)


def check(name: str, options: Mapping[str, float]) -> None:
    """Look at a name and its options; nothing of segmentation_models_pytorch is imported.

    Raises:
        UserError: if there is no such loss, or it takes no such option or value.
    """
    check_name(name)
    takes = _options(name)
    for option in options:
        if option not in takes:
            hint = nearest(option, takes) if takes else "; it takes none"
            raise UserError(f"loss {name!r} takes no option {option!r}{hint}")
    if name in losses.LOSSES:
        try:
            LOSSES[name](**options)
        except ValueError as error:
            raise UserError(f"loss {name!r}: {error}") from error
        return
    for option, value in options.items():
        least, most = SMP_RANGES.get((name, option)) or SMP_RANGES["", option]
        if not least <= value <= most or math.isinf(value):
            upto = "" if math.isinf(most) else f" and at most {most:g}"
            raise UserError(f"loss {name!r}: {option} is at least {least:g}{upto}, not {value:g}")


@functools.cache
def _options(name: str) -> tuple[str, ...]:
    return tuple(o for o in inspect.signature(LOSSES[name]).parameters if o != "ignore_index")


def takes_weights(name: str) -> bool:
    """Tell whether a loss takes a weight for each pixel as a third argument, (N, H, W)."""
    return LOSSES[name] is losses.PixelWeightedCrossEntropyLoss


def check_name(name: str) -> None:
    """Look at a name.

    Raises:
        UserError: if there is no such loss.
    """
    if name not in LOSSES:
        raise UserError(f"unknown loss {name!r}{nearest(name, LOSSES)}")


SMP_RANGES = {  # of one loss's option, or of one that several share
    ("smp:focal", "alpha"): (0.0, 1.0),
    ("", "alpha"): (0.0, math.inf),
    ("", "beta"): (0.0, math.inf),
    ("", "gamma"): (1.0, math.inf),  # below 1 the gradient of what is solved is infinite
    ("", "smooth"): (0.0, math.inf),
}

LOSSES: dict[str, Callable[..., nn.Module]] = {
    **losses.LOSSES,
    "smp:jaccard": smp_jaccard,
    "smp:lovasz": smp_lovasz,
    "smp:focal": smp_focal,
    "smp:tversky": smp_tversky,
}
