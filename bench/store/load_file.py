"""A U-Net with the weights of a checkpoint file."""

from __future__ import annotations

import json
from pathlib import Path

from bench.store.load_model import Trained
from bench.training import checkpoints
from bench.training.networks.unet import sides
from unet.blocks import Padding


def of_file(path: Path, *, padding: Padding) -> Trained:
    """Return the U-Net of a checkpoint file, ours or of the milesial family."""
    checkpoint = checkpoints.load(path)
    model = checkpoints.build_unet(checkpoint, padding=padding, source=path)
    values = checkpoint.mask_values
    about = {} if values is None else {"mask_values": json.dumps(values)}
    in_channels = model.get_parameter("inc.double_conv.0.weight").shape[1]
    return Trained(model, in_channels, *sides(model.depth, model.padding), model.margin, about)
