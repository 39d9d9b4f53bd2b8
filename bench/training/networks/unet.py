"""This project's U-Net, padded or not, and that of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.training.models import Architecture, ModelSettings
from bench.training.networks.initial import initialised
from unet.model import UNet, margin, nearest_valid_sizes


def unet(settings: ModelSettings) -> Architecture:
    """Return this project's U-Net."""
    reads = {"base_channels", "depth", "upsampling", "bilinear", "padding", "norm", "dropout"}
    options = settings.model_dump(include=reads)
    return _unet({*reads, "init"}, options, he=settings.init == "he")


def unet_paper(settings: ModelSettings) -> Architecture:
    """Return the network of arXiv:1505.04597, of any width and depth; see `UNet.paper`."""
    reads = {"base_channels", "depth"}
    fixed = {"padding": "valid", "norm": "none", "dropout": 0.5}
    return _unet(reads, settings.model_dump(include=reads) | fixed, he=True)


def sides(depth: int, padding: str) -> tuple[int, int]:
    """Return the smallest side of an image that a U-Net takes, and the step to the next one.

    Padded, it evens out sides that are odd on the way down; unpadded, it cannot.
    """
    lowest: int = 2**depth
    return (lowest, 1) if padding == "same" else (nearest_valid_sizes(1, depth)[1], lowest)


def _unet(reads: set[str], options: Mapping[str, Any], *, he: bool) -> Architecture:
    depth = options["depth"]
    multiple = 2**depth
    padded = Architecture(
        lambda channels, classes: initialised(UNet(channels, classes, **options), he=he),
        frozenset(reads),
        size_multiple=multiple,
        nearest_sizes=lambda size: (max(size, multiple), max(size, multiple)),
        misfit=f"is too small for {depth} poolings; at least",
        sides=sides(depth, options["padding"]),
    )
    if options["padding"] == "same":
        return padded
    return replace(
        padded,
        margin=margin(depth),
        nearest_sizes=lambda size: nearest_valid_sizes(size, depth),
        misfit=f"does not fit an unpadded U-Net of depth {depth}; the nearest sizes that do:",
    )
