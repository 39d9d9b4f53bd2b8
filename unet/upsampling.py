"""Bilinear upsampling, by one kernel or by two matrix products."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Bilinear = Literal["auto", "interpolate", "matmul"]


class BilinearUpsampling(nn.Module):
    """Enlarge feature maps twofold; corner pixels stay on corner pixels (``align_corners``).

    Rows and columns are interpolated independently of each other, so that the result is
    A · x · Bᵀ, for a matrix A of two weights a row that depends on the height alone, and B on the
    width. The gradient then is two products as well, and the same at every call. The gradient of
    torch's kernel adds up in an order of its own on CUDA (atomic additions), which costs time, and
    makes two trainings with one seed differ.

    Results agree to 1e-6 of the largest value in float32, unless its products are rounded to TF32;
    in bf16 and fp16 they are rounded once more, between the products.

    Args:
        by: ``"interpolate"``, torch's kernel; ``"matmul"``, two products; ``"auto"``, products
            on CUDA and the kernel elsewhere: on a CPU, products of maps that are channels-last
            take 5 to 8 times as long. That products are faster on CUDA was expected and has
            **yet to be measured** there: ``experiments/gpu/throughput_bilinear.yaml`` of this
            project compares both.
    """

    def __init__(self, by: Bilinear = "auto") -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, 2 H, 2 W) for (N, C, H, W), of the same type and memory format."""
        by = self.by
        if by == "auto":
            by = "matmul" if x.device.type == "cuda" else "interpolate"
        if by == "interpolate" or torch.compiler.is_exporting():
            return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        with torch.autocast(x.device.type, enabled=False):  # the type stays that of the maps
            return _products(x)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"by={self.by!r}"


def _products(x: Tensor) -> Tensor:
    """Multiply from the left along rows and columns, in the order in which they lie in memory."""
    count, channels, height, width = x.shape
    rows, columns = _twofold(height, x), _twofold(width, x)
    if not x.is_contiguous(memory_format=torch.channels_last):
        return (rows @ x) @ columns.T
    taller = rows @ x.permute(0, 2, 3, 1).reshape(count, height, width * channels)
    wider = columns @ taller.reshape(count * 2 * height, width, channels)
    return wider.reshape(count, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def _twofold(size: int, x: Tensor) -> Tensor:
    """Return the (2 size, size) matrix that interpolates: what becomes of each unit vector."""
    units = torch.eye(size, dtype=x.dtype, device=x.device)[None]
    doubled = F.interpolate(units, size=2 * size, mode="linear", align_corners=True)
    return doubled[0].T
