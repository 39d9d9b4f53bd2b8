"""Initial weights other than PyTorch's."""

from __future__ import annotations

from torch import nn

from unet.model import he_normal_


def initialised(network: nn.Module, *, he: bool) -> nn.Module:
    """Return a network, drawn anew from N(0, √(2 / fan-in)) and with biases 0 if ``he``."""
    if he:
        he_normal_(network)
    return network
