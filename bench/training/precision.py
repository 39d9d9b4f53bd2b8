"""The number format that a network computes in."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
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
    IEEE float32. On a CPU it is IEEE float32 always. Torch's switches are process-wide (and by
    default let convolutions round), so the whole trial has to run inside the block.
    """
    before = [(switch, _value(switch)) for switch in _SWITCHES]
    rounded = precision == "tf32"
    for switch in _SWITCHES:
        switch.set(switch.tf32 if rounded else switch.ieee)
    try:
        yield
    finally:
        for switch, value in before:
            if value is not None:
                switch.set(value)


@dataclass(frozen=True)
class _Switch:
    get: Callable[[], Any]
    set: Callable[[Any], None]
    ieee: Any
    tf32: Any


def _value(switch: _Switch) -> Any:
    """Return what a switch is set to; None where torch refuses to say.

    It does where a program has set only one of the two interfaces before.
    """
    try:
        return switch.get()
    except RuntimeError:
        return None


def _attribute(owner: Any, name: str, ieee: Any, tf32: Any) -> _Switch:
    return _Switch(partial(getattr, owner, name), partial(setattr, owner, name), ieee, tf32)


_CUDNN: Any = torch.backends.cudnn  # torch's type hints lack its `conv` and `rnn`
_MKLDNN: Any = torch.backends.mkldnn
# In this order. Torch has an older and a newer interface to the same switches. The compiler reads
# the older, which raises when it contradicts the newer: so both are set. The older one sets the
# newer one, of several operations at once, and comes first.
_SWITCHES = (
    _Switch(
        torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest", "high"
    ),
    _attribute(_CUDNN, "allow_tf32", False, True),
    _attribute(_CUDNN, "fp32_precision", "ieee", "tf32"),
    _attribute(_CUDNN.conv, "fp32_precision", "ieee", "tf32"),
    _attribute(_CUDNN.rnn, "fp32_precision", "ieee", "tf32"),
    _attribute(torch.backends.cuda.matmul, "fp32_precision", "ieee", "tf32"),
    _attribute(_MKLDNN.matmul, "fp32_precision", "ieee", "ieee"),  # of a CPU
)
