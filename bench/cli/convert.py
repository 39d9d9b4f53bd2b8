"""``python -m bench convert``: checkpoints of the milesial family, to safetensors and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.terminal import Force, check_free, say, warn
from bench.store.files import write_whole

Checkpoint = Annotated[
    Path, typer.Argument(metavar="IN", help="A U-Net's weights: safetensors, pt or pth.")
]
Output = Annotated[
    Path,
    typer.Argument(
        metavar="OUT", help="….safetensors, or ….pth as milesial/Pytorch-UNet loads it."
    ),
]


def convert(checkpoint: Checkpoint, output: Output, force: Force = False) -> int:
    """Turn a checkpoint of the milesial family into safetensors, or back; bit for bit."""
    from bench.training import checkpoints
    from unet.checkpoints import options

    check_free(output, force=force)
    found = checkpoints.load(checkpoint)
    model = checkpoints.build_unet(found, padding="same", source=checkpoint)
    weights = dict(model.state_dict())
    converted = checkpoints.Checkpoint(weights, found.mask_values)
    write_whole(output, checkpoints.encode(converted, output))
    network = options(weights)
    say(f"weights: {output} ({', '.join(f'{name} {value}' for name, value in network.items())})")
    if output.suffix != ".safetensors" and (network["depth"], network["norm"]) != (4, "batch"):
        warn(f"{output}: milesial/Pytorch-UNet has no such network; its depth is 4, its norm batch")
    return 0
