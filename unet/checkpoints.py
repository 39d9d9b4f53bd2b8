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

from unet.model import Padding, UNet

_FIRST, _LAST = "inc.double_conv.0.weight", "outc.conv.weight"
_WRAPPED = re.compile(r"^(module\.|_orig_mod\.)+")  # by DataParallel, by torch.compile
_BIAS = re.compile(r"(.*double_conv)\.([03])\.bias")
_DEEPEST = 16  # whose lowest map would have 65536 times the channels of the first


def from_state_dict(weights: Mapping[str, Any], *, padding: Padding = "same") -> UNet:
    """Build the U-Net that weights are of, in float32 on the CPU, ready to train.

    Names may begin with ``module.`` or ``_orig_mod.``, as `DataParallel` and `torch.compile` leave
    them; what is no tensor, such as ``mask_values``, is left out. Early versions of the family have
    biases before their batch norm: a normalisation takes the mean off and a bias with it, so they
    are taken off the running mean instead, which gives the same output up to rounding. All else
    comes back bit for bit.

    Args:
        weights: name → tensor, of the milesial family or of `UNet`. They are copied.
        padding: of the convolutions, which leaves no trace in weights.

    Raises:
        ValueError: naming the first tensor that is missing, unknown or of a wrong shape.
    """
    named = {
        _WRAPPED.sub("", name): tensor
        for name, tensor in weights.items()
        if isinstance(tensor, Tensor)
    }
    found = options(named)
    try:
        with torch.device("meta"):  # shapes alone: they may be those of a network too large to be
            model = UNet(**found, padding=padding)
    except RuntimeError as error:
        raise ValueError(f"{_FIRST!r} and the rest are of no U-Net that can be built") from error
    if found["norm"] == "batch":
        named = _without_biases(named)
    expected = model.state_dict()
    _check(named, expected)
    copies = {
        name: named[name].detach().to("cpu", own.dtype, copy=True) for name, own in expected.items()
    }
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


def _without_biases(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Move the biases of convolutions into the running means of the batch norms behind them."""
    kept = dict(weights)
    for name, bias in weights.items():
        found = _BIAS.fullmatch(name)
        if found is None:
            continue
        mean = f"{found[1]}.{int(found[2]) + 1}.running_mean"
        if mean in weights and weights[mean].shape == bias.shape:
            kept[mean] = weights[mean] - bias
            del kept[name]
    return kept


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
