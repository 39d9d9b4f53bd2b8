"""U-Net as published (arXiv:1505.04597) and in the padded, batch-normalised form of today.

Parameters bear the names of the widely used PyTorch implementation (``inc``, ``down1`` …,
``up1`` …, ``outc``), so that checkpoints of that family load as they are.
"""

from __future__ import annotations

import math
from typing import get_args

import torch
from torch import Tensor, nn

from unet.blocks import DoubleConv, Down, Norm, OutConv, Padding, Up, Upsampling
from unet.upsampling import Bilinear


class UNet(nn.Module):
    """A contracting and an expanding path of ``depth`` steps, joined by skip connections.

    With ``padding="same"`` the output is as large as the input, whose sides may be odd but not
    below ``2**depth``. With ``padding="valid"`` it is `margin` pixels smaller in height and in
    width, and only the sizes of `nearest_valid_sizes` fit.

    Args:
        in_channels: channels of the images.
        num_classes: channels of the output.
        base_channels: channels of the first level; every level below has twice as many.
        depth: number of poolings.
        upsampling: ``"transposed"``, a learned 2×2 up-convolution, or ``"bilinear"``, with half
            the channels in the maps that are upsampled.
        padding: ``"same"`` pads every 3×3 convolution with zeros, ``"valid"`` pads nothing.
        norm: ``"batch"`` normalises after every 3×3 convolution; with ``"none"`` they have
            biases instead.
        dropout: probability with which a value at the end of the contracting path is dropped.
        bilinear: how bilinear upsampling is computed, see `BilinearUpsampling`.

    Raises:
        ValueError: if an argument is none of the values that it may have.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        base_channels: int = 64,
        depth: int = 4,
        upsampling: Upsampling = "transposed",
        padding: Padding = "same",
        norm: Norm = "batch",
        dropout: float = 0.0,
        bilinear: Bilinear = "auto",
    ) -> None:
        super().__init__()
        _check_positive(
            in_channels=in_channels,
            num_classes=num_classes,
            base_channels=base_channels,
            depth=depth,
        )
        _check_choice("upsampling", upsampling, get_args(Upsampling))
        _check_choice("padding", padding, get_args(Padding))
        _check_choice("norm", norm, get_args(Norm))
        _check_choice("bilinear", bilinear, get_args(Bilinear))
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {dropout!r}")
        self.depth = depth
        self.padding = padding

        widths = [base_channels * 2**level for level in range(depth + 1)]
        # What bilinear interpolation enlarges keeps its channels, so it is made with half as
        # many: the concatenation is then as wide as behind an up-convolution.
        shrink = 2 if upsampling == "bilinear" else 1
        self.inc = DoubleConv(in_channels, widths[0], padding=padding, norm=norm)
        for level in range(1, depth + 1):
            out = widths[level] // (shrink if level == depth else 1)
            down = Down(widths[level - 1], out, padding=padding, norm=norm)
            self.add_module(f"down{level}", down)
        self.dropout = nn.Dropout(dropout)
        for step in range(1, depth + 1):
            level = depth - step
            out = widths[level] // (shrink if level > 0 else 1)
            up = Up(
                widths[level + 1],
                out,
                upsampling=upsampling,
                padding=padding,
                norm=norm,
                bilinear=bilinear,
            )
            self.add_module(f"up{step}", up)
        self.outc = OutConv(widths[0], num_classes)

    @classmethod
    def paper(cls, in_channels: int = 1, num_classes: int = 2) -> UNet:
        """Return the network of arXiv:1505.04597: 572×572 pixels in, 388×388 out.

        Unpadded, without normalisation, initialised by `he_normal_`, and with dropout at the
        end of the contracting path, for which the paper gives no rate; it is one half here.
        """
        model = cls(in_channels, num_classes, padding="valid", norm="none", dropout=0.5)
        he_normal_(model)
        return model

    @property
    def margin(self) -> int:
        """By how many pixels the output is smaller than the input, in height and in width."""
        return margin(self.depth) if self.padding == "valid" else 0

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes, H - margin, W - margin) of images (N, C, H, W).

        Raises:
            ValueError: if the images are of a size that does not fit.
        """
        self._check_size(images)
        skips = [self.inc(images)]
        for level in range(1, self.depth + 1):
            skips.append(getattr(self, f"down{level}")(skips[-1]))
        x = self.dropout(skips.pop())
        for step in range(1, self.depth + 1):
            x = getattr(self, f"up{step}")(x, skips.pop())
        logits: Tensor = self.outc(x)
        return logits

    def _check_size(self, images: Tensor) -> None:
        if images.ndim != 4:
            raise ValueError(f"images must be (N, C, H, W), not {tuple(images.shape)}")
        for side, size in zip(("height", "width"), images.shape[2:], strict=True):
            if self.padding == "same":
                _check_large_enough(side, size, self.depth)
            else:
                _check_fits_unpadded(side, size, self.depth)


def he_normal_(model: nn.Module, *, generator: torch.Generator | None = None) -> None:
    """Draw every convolution's weights from N(0, √(2 / fan-in)), in place; biases become 0.

    The fan-in is the number of values that one output value is computed from: a 2×2
    up-convolution of stride 2 lays its windows side by side, so each of its output pixels sees
    one input pixel. (He et al. 2015, arXiv:1502.01852, as arXiv:1505.04597 uses it.)

    Args:
        model: the module whose `nn.Conv2d` and `nn.ConvTranspose2d` are initialised.
        generator: where the random numbers come from; torch's global generator by default.
    """
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        fan_in = module.in_channels / module.groups * math.prod(module.kernel_size)
        if isinstance(module, nn.ConvTranspose2d):
            fan_in /= math.prod(module.stride)
        nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in), generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def margin(depth: int) -> int:
    """Return by how many pixels an unpadded network's output is smaller: 184 for depth 4.

    Two 3×3 convolutions take 4 pixels off each level's map. A pixel of level l is worth
    2**l of the image; every level but the lowest is passed twice, down and up.
    """
    lowest: int = 2**depth
    return 12 * lowest - 8


def nearest_valid_sizes(size: int, depth: int) -> tuple[int, int]:
    """Return the nearest heights or widths, from below and above, that an unpadded network takes.

    Those sizes keep every map even where it is pooled, and leave at least one pixel of output.
    For depth 4 they are 188, 204, … 556, 572, ….

    Args:
        size: the height or width that is wanted, in pixels.
        depth: number of poolings.

    Returns:
        ``(size, size)`` if it fits; the smallest size twice if that is not reached.
    """
    step: int = 2**depth
    # A map of b pixels that enters the lowest convolutions comes from (b + 4) * step - 4 pixels.
    smallest = margin(depth) + 1
    smallest += (-4 - smallest) % step
    if size <= smallest:
        return smallest, smallest
    below = size - (size - smallest) % step
    return below, below if below == size else below + step


def _check_positive(**arguments: int) -> None:
    for name, value in arguments.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value!r}")


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {value!r}")


def _check_large_enough(side: str, size: int, depth: int) -> None:
    if size < 2**depth:
        raise ValueError(f"{side} {size} is too small: depth {depth} takes {2**depth} and more")


def _check_fits_unpadded(side: str, size: int, depth: int) -> None:
    below, above = nearest_valid_sizes(size, depth)
    if size not in (below, above):
        nearest = f"{below} and {above}" if below < above else str(above)
        raise ValueError(
            f"{side} {size} does not fit an unpadded network of depth {depth}; "
            f"nearest that fit: {nearest}"
        )
