"""The number format that a network computes in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import torch

Precision = Literal["fp32", "tf32", "bf16", "fp16"]
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """Return the context of a forward pass: torch's autocast for ``bf16`` and ``fp16``."""
    if precision in AUTOCAST:
        return torch.autocast(device.type, AUTOCAST[precision])
    return contextlib.nullcontext()


@contextlib.contextmanager
def float32_as(precision: Precision) -> Iterator[None]:
    """Set how float32 is computed on CUDA, for forward and backward passes in this block.

    ``tf32`` lets tensor cores round their inputs to TF32; with every other precision, float32 is
    IEEE float32. Torch's switches are process-wide (and by default let convolutions round), so the
    whole trial has to run inside the block.
    """
    cudnn: Any = torch.backends.cudnn  # torch's type hints lack its `conv`
    conv, matmul = cudnn.conv, torch.backends.cuda.matmul
    before = conv.fp32_precision, matmul.fp32_precision
    mode = "tf32" if precision == "tf32" else "ieee"
    conv.fp32_precision, matmul.fp32_precision = mode, mode
    try:
        yield
    finally:
        conv.fp32_precision, matmul.fp32_precision = before
