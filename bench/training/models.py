"""Network architectures: how each is built, and which image sizes it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

from bench.errors import UserError, nearest
from bench.settings import Settings
from unet.model import UNet, he_normal_, margin, nearest_valid_sizes
from unet.sliding import SlidingWindow, WindowClassifier


class ModelSettings(Settings):
    """Which network, and its options. An option that the network does not read changes nothing."""

    name: str = Field("unet", description="a key of bench.training.models.MODELS")
    base_channels: int = Field(
        64,
        ge=1,
        le=4096,
        description="channels of the first level (unet, unet_paper); maps of each convolution "
        "(sliding_window; in its paper 48)",
    )
    depth: int = Field(4, ge=1, le=8, description="number of poolings (unet, unet_paper)")
    upsampling: Literal["transposed", "bilinear"] = "transposed"
    padding: Literal["same", "valid"] = "same"
    norm: Literal["batch", "none"] = "batch"
    dropout: float = Field(0.0, ge=0, lt=1, description="at the lowest resolution (unet)")
    init: Literal["torch", "he"] = Field(
        "torch",
        description="initial weights (unet, sliding_window): PyTorch's, or N(0, √(2 / fan-in)) "
        "and biases 0",
    )
    window: Literal[65, 95] = Field(
        95, description="side of the window around each classified pixel (sliding_window)"
    )
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
        return self.model_dump(mode="json", include={"name", *architecture(self).reads})


@dataclass(frozen=True)
class Architecture:
    """A network under given settings.

    Of a network that was once applied to one window at a time, where ``build``'s computes all
    pixels together, ``window`` builds that one: (N, channels, w, w) → (N, classes), where w is its
    attribute ``window``.
    """

    build: Callable[[int, int], nn.Module]  # (channels of the images, number of classes) → network
    reads: frozenset[str]  # the settings that change it
    size_multiple: int  # height and width of an image are padded to a multiple of this
    margin: int = 0  # pixels by which logits are smaller than the image, in height and in width
    # The nearest sizes of crops that it takes, from below and above, and why it does not take
    # another; those sizes follow in the message.
    nearest_sizes: Callable[[int], tuple[int, int]] = lambda size: (size, size)
    misfit: str = "does not fit; the nearest that do:"
    window: Callable[[int, int], WindowClassifier] | None = None


def architecture(settings: ModelSettings) -> Architecture:
    """Return the architecture that the settings name."""
    return MODELS[settings.name](settings)


def build(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build a network that maps (N, in_channels, H, W) to logits (N, num_classes, H', W').

    H' and W' are smaller than H and W by the architecture's ``margin``. Initial weights come from
    torch's global generator.
    """
    return architecture(settings).build(in_channels, num_classes)


def check(settings: ModelSettings) -> None:
    """Raise a UserError if an option names something that the network's library does not have."""
    if settings.name == "smp_unet":
        import segmentation_models_pytorch as smp  # seconds to import; only this network needs it

        known = smp.encoders.get_encoder_names()
        if settings.encoder not in known:
            hint = nearest(settings.encoder, known)
            raise UserError(f"model.encoder: unknown encoder {settings.encoder!r}{hint}")


def unet(settings: ModelSettings) -> Architecture:
    """Return this project's U-Net."""
    reads = {"base_channels", "depth", "upsampling", "padding", "norm", "dropout"}
    options = settings.model_dump(include=reads)
    return _unet({*reads, "init"}, options, he=settings.init == "he")


def unet_paper(settings: ModelSettings) -> Architecture:
    """Return the network of arXiv:1505.04597, of any width and depth; see `UNet.paper`."""
    reads = {"base_channels", "depth"}
    fixed = {"padding": "valid", "norm": "none", "dropout": 0.5}
    return _unet(reads, settings.model_dump(include=reads) | fixed, he=True)


def _unet(reads: set[str], options: Mapping[str, Any], *, he: bool) -> Architecture:
    depth = options["depth"]
    multiple = 2**depth
    padded = Architecture(
        lambda channels, classes: _initialised(UNet(channels, classes, **options), he=he),
        frozenset(reads),
        size_multiple=multiple,
        nearest_sizes=lambda size: (max(size, multiple), max(size, multiple)),
        misfit=f"is too small for {depth} poolings; at least",
    )
    if options["padding"] == "same":
        return padded
    return replace(
        padded,
        margin=margin(depth),
        nearest_sizes=lambda size: nearest_valid_sizes(size, depth),
        misfit=f"does not fit an unpadded U-Net of depth {depth}; the nearest sizes that do:",
    )


def _initialised(network: nn.Module, *, he: bool) -> nn.Module:
    if he:
        he_normal_(network)
    return network


def sliding_window(settings: ModelSettings) -> Architecture:
    """Return the network that U-Net replaced, a classifier of the window around each pixel."""
    window, he = settings.window, settings.init == "he"
    options = {"window": window, "base_channels": settings.base_channels}
    return Architecture(
        lambda channels, classes: _initialised(SlidingWindow(channels, classes, **options), he=he),
        frozenset({"base_channels", "window", "init"}),
        size_multiple=1,
        margin=window - 1,
        nearest_sizes=lambda size: (max(size, window), max(size, window)),
        misfit=f"is too small for a window of {window} pixels; at least",
        window=partial(WindowClassifier, **options),
    )


class Logits(nn.Module):
    """A torchvision segmentation network that returns its logits alone, not a dictionary."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes, H, W) of images (N, C, H, W)."""
        logits: Tensor = self.network(images)["out"]
        return logits


def of_torchvision(name: str) -> Architecture:
    """Return a network of ``torchvision.models.segmentation`` over a dilated ResNet-50."""

    def build(in_channels: int, num_classes: int) -> nn.Module:
        from torchvision.models import segmentation

        make = getattr(segmentation, name)
        network: Any = make(weights=None, weights_backbone=None, num_classes=num_classes)
        if in_channels != 3:  # torchvision builds it for RGB images only
            network.backbone.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        return Logits(network)

    return Architecture(build, frozenset(), size_multiple=8)


def smp_unet(settings: ModelSettings) -> Architecture:
    """Return ``segmentation_models_pytorch.Unet``, a baseline to compare with."""

    def build(in_channels: int, num_classes: int) -> nn.Module:
        import segmentation_models_pytorch as smp

        network: nn.Module = smp.Unet(
            settings.encoder,
            encoder_weights=settings.encoder_weights,
            in_channels=in_channels,
            classes=num_classes,
        )
        return network

    return Architecture(build, frozenset({"encoder", "encoder_weights"}), size_multiple=32)


MODELS: dict[str, Callable[[ModelSettings], Architecture]] = {
    "unet": unet,
    "unet_paper": unet_paper,
    "sliding_window": sliding_window,
    "fcn_resnet50": lambda settings: of_torchvision("fcn_resnet50"),
    "deeplabv3_resnet50": lambda settings: of_torchvision("deeplabv3_resnet50"),
    "smp_unet": smp_unet,
}
