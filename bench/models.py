"""Names of networks, and what builds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator
from torch import nn

from bench.errors import UserError, nearest
from bench.settings import Settings
from unet.model import UNet


class ModelSettings(Settings):
    """Which network, and its options. An option that a network does not read changes nothing."""

    name: str = Field("unet", description="a key of bench.models.MODELS")
    base_channels: int = Field(64, ge=1, description="channels of the first level (unet)")
    depth: int = Field(4, ge=1, le=8, description="number of poolings (unet)")
    upsampling: Literal["transposed", "bilinear"] = "transposed"
    padding: Literal["same", "valid"] = "same"
    norm: Literal["batch", "none"] = "batch"
    dropout: float = Field(0.0, ge=0, lt=1, description="at the bottom of the U (unet)")
    encoder: str = Field("resnet34", description="an encoder of segmentation_models_pytorch")
    encoder_weights: str | None = Field(None, description="pretrained weights; null: none")

    @field_validator("name")
    @classmethod
    def _known_model(cls, name: str) -> str:
        if name not in MODELS:
            raise ValueError(f"unknown model {name!r}{nearest(name, MODELS)}")
        return name

    def effective(self) -> dict[str, Any]:
        """Return the name and the options that this network reads, and no others."""
        return self.model_dump(mode="json", include={"name", *MODELS[self.name].reads})


@dataclass(frozen=True)
class Architecture:
    """How to build a network, which settings it reads, and the sizes that it takes whole."""

    build: Callable[[ModelSettings, int, int], nn.Module]
    reads: frozenset[str]
    size_multiple: Callable[[ModelSettings], int]


def build(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build a network that maps (N, in_channels, H, W) to logits (N, num_classes, H', W').

    H' and W' equal H and W, but for ``padding: valid``. Initial weights come from torch's
    global generator.

    Raises:
        UserError: if an option names something that does not exist.
    """
    return MODELS[settings.name].build(settings, in_channels, num_classes)


def check(settings: ModelSettings) -> None:
    """Look at what only the library behind a network knows.

    Raises:
        UserError: if an option names something that does not exist.
    """
    if settings.name == "smp_unet":
        import segmentation_models_pytorch as smp  # seconds to import; only this arm needs it

        known = smp.encoders.get_encoder_names()
        if settings.encoder not in known:
            hint = nearest(settings.encoder, known)
            raise UserError(f"model.encoder: unknown encoder {settings.encoder!r}{hint}")


def size_multiple(settings: ModelSettings) -> int:
    """Return what height and width of an image are padded up to a multiple of."""
    return MODELS[settings.name].size_multiple(settings)


def unet(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build this project's U-Net."""
    return UNet(
        in_channels,
        num_classes,
        base_channels=settings.base_channels,
        depth=settings.depth,
        upsampling=settings.upsampling,
        padding=settings.padding,
        norm=settings.norm,
        dropout=settings.dropout,
    )


def smp_unet(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build ``segmentation_models_pytorch.Unet``, the baseline to compare with."""
    import segmentation_models_pytorch as smp

    network: nn.Module = smp.Unet(
        settings.encoder,
        encoder_weights=settings.encoder_weights,
        in_channels=in_channels,
        classes=num_classes,
    )
    return network


MODELS: dict[str, Architecture] = {
    "unet": Architecture(
        unet,
        frozenset({"base_channels", "depth", "upsampling", "padding", "norm", "dropout"}),
        lambda settings: 2**settings.depth,
    ),
    "smp_unet": Architecture(
        smp_unet, frozenset({"encoder", "encoder_weights"}), lambda settings: 32
    ),
}
