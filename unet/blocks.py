"""The blocks of a U-Net: two convolutions, a step down, a step up, and the last convolution."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unet.upsampling import Bilinear, BilinearUpsampling

Upsampling = Literal["transposed", "bilinear"]
Padding = Literal["same", "valid"]
Norm = Literal["batch", "none"]


class DoubleConv(nn.Module):
    """Twice: 3×3 convolution, batch norm (or none), ReLU; ``mid`` channels in between."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid: int | None = None,
        *,
        padding: Padding,
        norm: Norm,
    ) -> None:
        super().__init__()
        mid = out_channels if mid is None else mid
        self.double_conv = nn.Sequential(
            *_conv_norm_relu(in_channels, mid, padding=padding, norm=norm),
            *_conv_norm_relu(mid, out_channels, padding=padding, norm=norm),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H, W) for (N, in_channels, H, W); unpadded, H - 4 and W - 4."""
        out: Tensor = self.double_conv(x)
        return out


class Down(nn.Module):
    """One step down the contracting path: 2×2 max pooling, then `DoubleConv`."""

    def __init__(
        self, in_channels: int, out_channels: int, *, padding: Padding, norm: Norm
    ) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(
            nn.MaxPool2d(2), DoubleConv(in_channels, out_channels, padding=padding, norm=norm)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H // 2, W // 2) for (N, in_channels, H, W), before margins."""
        out: Tensor = self.maxpool_conv(x)
        return out


class Up(nn.Module):
    """One step up the expanding path: enlarge twofold, join the skip connection, `DoubleConv`.

    ``in_channels`` are those of the joined map, of which the skip connection brings half.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        upsampling: Upsampling,
        padding: Padding,
        norm: Norm,
        bilinear: Bilinear = "auto",
    ) -> None:
        super().__init__()
        half = in_channels // 2
        self.up: nn.Module
        if upsampling == "bilinear":
            self.up = BilinearUpsampling(bilinear)
            self.conv = DoubleConv(in_channels, out_channels, half, padding=padding, norm=norm)
        else:
            self.up = nn.ConvTranspose2d(in_channels, half, kernel_size=2, stride=2)
            self.conv = DoubleConv(in_channels, out_channels, padding=padding, norm=norm)
        self.padding = padding

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        """Return (N, out_channels, H, W) for the map from below and a skip map (N, C, H, W).

        Unpadded, H and W are those of the enlarged map from below, less the convolutions' 4.
        """
        x = self.up(below)
        if self.padding == "same":
            x = _pad_to(x, skip)
        else:
            skip = _crop_to(skip, x)
        out: Tensor = self.conv(torch.cat([skip, x], dim=1))
        return out


class OutConv(nn.Module):
    """The 1×1 convolution that turns features into one logit a class."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, num_classes, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, num_classes, H, W) for (N, in_channels, H, W)."""
        out: Tensor = self.conv(x)
        return out


def _conv_norm_relu(
    in_channels: int, out_channels: int, *, padding: Padding, norm: Norm
) -> list[nn.Module]:
    """Always three modules, so that parameters keep their names when there is no norm."""
    border = 1 if padding == "same" else 0
    return [
        # Batch norm subtracts the mean, and any bias with it.
        nn.Conv2d(in_channels, out_channels, 3, padding=border, bias=norm == "none"),
        nn.BatchNorm2d(out_channels) if norm == "batch" else nn.Identity(),
        nn.ReLU(inplace=True),
    ]


def _pad_to(x: Tensor, skip: Tensor) -> Tensor:
    """Pad with zeros to the size of ``skip``; an odd difference puts one more at the end."""
    rows, columns = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
    # Padding by nothing would still copy. A graph for every size has to hold the padding, though.
    if not torch.compiler.is_exporting() and rows == 0 and columns == 0:
        return x
    return F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2])


def _crop_to(skip: Tensor, x: Tensor) -> Tensor:
    """Cut the middle out of ``skip``, as large as ``x``."""
    height, width = x.shape[2:]
    top, left = (skip.shape[2] - height) // 2, (skip.shape[3] - width) // 2
    return skip[:, :, top : top + height, left : left + width]
