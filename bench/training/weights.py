"""Weights by name, put into a network that has them all."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from bench.errors import UserError, nearest

Weights = dict[str, torch.Tensor]


def load_into(model: nn.Module, weights: Mapping[str, torch.Tensor], *, source: object) -> None:
    """Put weights into a model of the same names and shapes.

    Else a UserError names ``source`` and the first tensor that is missing, unknown, of another
    shape or of another type; the model is then unchanged.
    """
    own = model.state_dict()
    for name in own:
        if name not in weights:
            raise UserError(f"{source}: has no {name!r}{nearest(name, weights)}")
    for name, value in weights.items():
        if name not in own:
            raise UserError(f"{source}: {name!r} is no weight of this model{nearest(name, own)}")
        if value.shape != own[name].shape:
            shapes = f"{tuple(value.shape)}, this model's {tuple(own[name].shape)}"
            raise UserError(f"{source}: {name!r} has the shape {shapes}")
        if value.dtype != own[name].dtype:
            raise UserError(f"{source}: {name!r} is {value.dtype}, this model's {own[name].dtype}")
    model.load_state_dict(dict(weights))
