"""Weights by name → the U-Net that they are of.

`UNet` bears the names of the widely used milesial/Pytorch-UNet, so ``model.state_dict()`` is what
that code loads, as long as there is such a network in it: depth 4, padded, batch norm. Here is the
way back, from weights alone: which network it is follows from their names and shapes.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from unet.blocks import Padding
from unet.model import UNet

_FIRST, _LAST = "inc.double_conv.0.weight", "outc.conv.weight"
_WRAPPED = re.compile(r"^(module\.|_orig_mod\.)+")  # by DataParallel, by torch.compile
_BIAS = re.compile(r"(.*double_conv)\.([03])\.bias")
_DEEPEST = 16  # whose lowest map would have 65536 times the channels of the first
_KEPT = {  # type of a network's tensor → those of weights that may be turned into it
    torch.float32: (torch.float32, torch.float16, torch.bfloat16, torch.float64),
    torch.int64: (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
}


def from_state_dict(weights: Mapping[str, Any], *, padding: Padding = "same") -> UNet:
    """Build the U-Net that weights are of, in float32 on the CPU, ready to train.

    Names may begin with ``module.`` or ``_orig_mod.``, as `DataParallel` and `torch.compile` leave
    them; what is no tensor, such as ``mask_values``, is left out. Early versions of the family have
    biases before their batch norm: a normalisation takes the mean off and a bias with it, so they
    are taken off the running mean instead, which gives the same output up to rounding. All else
    keeps its value to the last bit.

    Args:
        weights: name → tensor, of the milesial family or of `UNet`. They are copied.
        padding: of the convolutions, which leaves no trace in weights.

    Raises:
        ValueError: naming the first tensor that is missing, unknown, of a wrong shape, not stored
            whole (sparse, quantised, on the meta device, expanded), or whose values float32 cannot
            keep.
    """
    named = {
        _WRAPPED.sub("", name): tensor
        for name, tensor in weights.items()
        if isinstance(tensor, Tensor)
    }
    _check_plain(named)
    found = options(named)
    try:
        with torch.device("meta"):  # shapes alone: they may be those of a network too large to be
            model = UNet(**found, padding=padding)
    except RuntimeError as error:
        raise ValueError(f"{_FIRST!r} and the rest are of no U-Net that can be built") from error
    biases = _biases(named) if found["norm"] == "batch" else {}
    expected = model.state_dict()
    _check({name: value for name, value in named.items() if name not in biases.values()}, expected)
    _check_stored(named)
    copies = {name: _exactly(name, named[name], own.dtype) for name, own in expected.items()}
    for mean, bias in biases.items():
        copies[mean] -= _exactly(bias, named[bias], torch.float32)
    model.load_state_dict(copies, assign=True)
    return model


def options(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the arguments of `UNet` that show in the names and shapes of its weights.

    Raises:
        ValueError: if they show no U-Net.
    """
    for name in (_FIRST, _LAST):
        if name not in weights:
            raise ValueError(_missing(name, weights))
        if weights[name].ndim != 4 or 0 in weights[name].shape:
            shape = tuple(weights[name].shape)
            raise ValueError(f"{name!r} has the shape {shape}, which is no convolution's")
    levels = {name.partition(".")[0] for name in weights}
    depth = 0
    while f"down{depth + 1}" in levels and depth < _DEEPEST:
        depth += 1
    if depth == 0:
        raise ValueError(_missing("down1.maxpool_conv.1.double_conv.0.weight", weights))
    learned = any(re.match(r"up\d+\.up\.", name) for name in weights)
    normed = any(re.search(r"double_conv\.[14]\.", name) for name in weights)
    base_channels, in_channels = weights[_FIRST].shape[:2]
    return {
        "in_channels": in_channels,
        "num_classes": weights[_LAST].shape[0],
        "base_channels": base_channels,
        "depth": depth,
        "upsampling": "transposed" if learned else "bilinear",
        "norm": "batch" if normed else "none",
    }


def _exactly(name: str, value: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a copy of a tensor on the CPU in the type that a network has.

    Raises:
        ValueError: if that is a type of another kind, or does not keep its values exactly.
    """
    own, wanted = (str(one).removeprefix("torch.") for one in (value.dtype, dtype))
    if value.dtype not in _KEPT.get(dtype, (dtype,)):
        raise ValueError(f"{name!r} is of type {own}; {wanted} is wanted")
    value = value.detach().to("cpu")
    copy = value.to(dtype, copy=True)
    if value.dtype.itemsize > dtype.itemsize and not ((copy == value) | value.isnan()).all():
        raise ValueError(f"{name!r} is of type {own}, with values that {wanted} cannot keep")
    return copy


def _biases(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Return running mean of a batch norm → bias of the convolution before it, by name."""
    found = {}
    for name, bias in weights.items():
        if part := _BIAS.fullmatch(name):
            mean = f"{part[1]}.{int(part[2]) + 1}.running_mean"
            if mean in weights and weights[mean].shape == bias.shape:
                found[mean] = name
    return found


def _check_plain(weights: Mapping[str, Tensor]) -> None:
    """Refuse tensors that are no plain arrays of numbers."""
    for name, value in weights.items():
        kinds = {
            "nested": value.is_nested,
            "quantised": value.is_quantized,
            "sparse": value.layout != torch.strided,
            "a shape without values (of the meta device)": value.is_meta,
        }
        for kind, is_so in kinds.items():
            if is_so:
                raise ValueError(f"{name!r} is {kind}; plain tensors are wanted")


def _check_stored(weights: Mapping[str, Tensor]) -> None:
    """Refuse tensors that take more memory than they are stored in, as expanded ones do.

    Single numbers may be shared: they are counters, and small.
    """
    left: dict[int, int] = {}  # storage → its bytes that no tensor has taken yet
    for name, value in weights.items():
        if value.ndim:
            storage = value.untyped_storage()
            left[storage._cdata] = left.get(storage._cdata, storage.nbytes()) - value.nbytes
            if left[storage._cdata] < 0:
                raise ValueError(
                    f"{name!r} takes {value.nbytes} bytes, which are not stored (an expanded or "
                    f"shared tensor: its storage has {storage.nbytes()})"
                )


def _check(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, own in expected.items():
        if name not in weights:
            raise ValueError(_missing(name, [other for other in weights if other not in expected]))
        if weights[name].shape != own.shape:
            shape, right = tuple(weights[name].shape), tuple(own.shape)
            raise ValueError(f"{name!r} has the shape {shape}; such a U-Net's has {right}")
    for name in weights:
        if name not in expected:
            raise ValueError(f"{name!r} is no weight of such a U-Net")


def _missing(name: str, others: Mapping[str, Tensor] | list[str]) -> str:
    near = difflib.get_close_matches(name, others, n=1)
    return f"has no {name!r}" + (f"; it has {near[0]!r}" if near else "")
