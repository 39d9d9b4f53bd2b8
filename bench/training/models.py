"""Names of networks, and what builds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, field_validator
from torch import Tensor, nn

from bench.errors import UserError, nearest
from bench.settings import Settings
from unet.model import UNet, he_normal_, nearest_valid_sizes
from unet.model import margin as unet_margin
from unet.sliding import SlidingWindow, WindowClassifier


class ModelSettings(Settings):
    """Which network, and its options. An option that a network does not read changes nothing."""

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
    dropout: float = Field(0.0, ge=0, lt=1, description="at the bottom of the U (unet)")
    init: Literal["torch", "he"] = Field(
        "torch",
        description="initial weights (unet, sliding_window): PyTorch's, or N(0, √(2 / fan-in)) "
        "and biases 0",
    )
    window: Literal[65, 95] = Field(
        95, description="side of what a pixel is decided from, pixels (sliding_window)"
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
        return self.model_dump(mode="json", include={"name", *MODELS[self.name].reads})


@dataclass(frozen=True)
class Architecture:
    """How to build a network, which settings it reads, and the sizes that it takes and gives.

    Attributes:
        build: settings, channels of the images, number of classes → the network.
        reads: the settings that change it.
        size_multiple: what height and width of an image are padded up to a multiple of.
        margin: by how many pixels the output is smaller than the input.
        nearest_sizes: the nearest sizes that it takes, from below and above.
        misfit: says of a size that it does not take why, as far as the sizes that it does.
        window: like ``build``, the network that was moved over all pixels where this one computes
            them together: from (N, channels, w, w) to (N, classes), w its attribute ``window``.
    """

    build: Callable[[ModelSettings, int, int], nn.Module]
    reads: frozenset[str]
    size_multiple: Callable[[ModelSettings], int]
    margin: Callable[[ModelSettings], int] = lambda settings: 0
    nearest_sizes: Callable[[ModelSettings, int], tuple[int, int]] = lambda settings, size: (
        size,
        size,
    )
    misfit: Callable[[ModelSettings], str] = lambda settings: "does not fit; the nearest that do:"
    window: Callable[[ModelSettings, int, int], WindowClassifier] | None = None


def build(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build a network that maps (N, in_channels, H, W) to logits (N, num_classes, H', W').

    H' and W' are smaller than H and W by `margin`. Initial weights come from torch's
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


def margin(settings: ModelSettings) -> int:
    """Return by how many pixels logits are smaller than the image, in height and in width."""
    return MODELS[settings.name].margin(settings)


def nearest_sizes(settings: ModelSettings, size: int) -> tuple[int, int]:
    """Return the nearest sizes of training crops that the network takes, from below and above."""
    return MODELS[settings.name].nearest_sizes(settings, size)


def misfit(settings: ModelSettings) -> str:
    """Say why a network does not take a size; the sizes that it does belong after it."""
    return MODELS[settings.name].misfit(settings)


def window(settings: ModelSettings, in_channels: int, num_classes: int) -> WindowClassifier | None:
    """Build what was moved over all pixels where `build`'s network computes them together.

    It maps one window (N, in_channels, w, w), w its attribute ``window``, to the logits
    (N, num_classes) of the pixel in its middle, so that its operations are those that a pixel took.

    Returns:
        None for a network that never was used so.
    """
    make = MODELS[settings.name].window
    return None if make is None else make(settings, in_channels, num_classes)


def unet(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build this project's U-Net."""
    network = UNet(
        in_channels,
        num_classes,
        base_channels=settings.base_channels,
        depth=settings.depth,
        upsampling=settings.upsampling,
        padding=settings.padding,
        norm=settings.norm,
        dropout=settings.dropout,
    )
    if settings.init == "he":
        he_normal_(network)
    return network


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


def unet_paper(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build the network of arXiv:1505.04597, of any width and depth; see `UNet.paper`."""
    network = UNet(
        in_channels,
        num_classes,
        base_channels=settings.base_channels,
        depth=settings.depth,
        padding="valid",
        norm="none",
        dropout=0.5,
    )
    he_normal_(network)
    return network


def sliding_window(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build the network that U-Net replaced, a classifier of windows over every pixel."""
    network = SlidingWindow(
        in_channels, num_classes, window=settings.window, base_channels=settings.base_channels
    )
    if settings.init == "he":
        he_normal_(network)
    return network


def window_classifier(
    settings: ModelSettings, in_channels: int, num_classes: int
) -> WindowClassifier:
    """Build the classifier that `sliding_window` computes for all positions together."""
    return WindowClassifier(
        in_channels, num_classes, window=settings.window, base_channels=settings.base_channels
    )


class Logits(nn.Module):
    """A torchvision segmentation network that gives its logits alone, not a dictionary."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes, H, W) of images (N, C, H, W)."""
        logits: Tensor = self.network(images)["out"]
        return logits


def fcn_resnet50(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build torchvision's FCN over a dilated ResNet-50, without weights."""
    from torchvision.models import segmentation

    return _of_torchvision(segmentation.fcn_resnet50, in_channels, num_classes)


def deeplabv3_resnet50(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build torchvision's DeepLabV3 over a dilated ResNet-50, without weights."""
    from torchvision.models import segmentation

    return _of_torchvision(segmentation.deeplabv3_resnet50, in_channels, num_classes)


def _of_torchvision(
    make: Callable[..., nn.Module], in_channels: int, num_classes: int
) -> nn.Module:
    network: Any = make(weights=None, weights_backbone=None, num_classes=num_classes)
    if in_channels != 3:  # torchvision builds it for colours only
        network.backbone.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
    return Logits(network)


def _unet_margin(settings: ModelSettings) -> int:
    return unet_margin(settings.depth) if settings.padding == "valid" else 0


def _unet_sizes(settings: ModelSettings, size: int) -> tuple[int, int]:
    if settings.padding == "valid":
        return nearest_valid_sizes(size, settings.depth)
    return max(size, 2**settings.depth), max(size, 2**settings.depth)


def _unpadded_misfit(settings: ModelSettings) -> str:
    return f"does not fit an unpadded U-Net of depth {settings.depth}; the nearest sizes that do:"


def _unet_misfit(settings: ModelSettings) -> str:
    if settings.padding == "valid":
        return _unpadded_misfit(settings)
    return f"is too small for {settings.depth} poolings; at least"


MODELS: dict[str, Architecture] = {
    "unet": Architecture(
        unet,
        frozenset({"base_channels", "depth", "upsampling", "padding", "norm", "dropout", "init"}),
        lambda settings: 2**settings.depth,
        _unet_margin,
        _unet_sizes,
        _unet_misfit,
    ),
    "unet_paper": Architecture(
        unet_paper,
        frozenset({"base_channels", "depth"}),
        lambda settings: 2**settings.depth,
        lambda settings: unet_margin(settings.depth),
        lambda settings, size: nearest_valid_sizes(size, settings.depth),
        _unpadded_misfit,
    ),
    "sliding_window": Architecture(
        sliding_window,
        frozenset({"base_channels", "window", "init"}),
        lambda settings: 1,
        lambda settings: settings.window - 1,
        lambda settings, size: (max(size, settings.window), max(size, settings.window)),
        lambda settings: f"is too small for a window of {settings.window} pixels; at least",
        window_classifier,
    ),
    "fcn_resnet50": Architecture(fcn_resnet50, frozenset(), lambda settings: 8),
    "deeplabv3_resnet50": Architecture(deeplabv3_resnet50, frozenset(), lambda settings: 8),
    "smp_unet": Architecture(
        smp_unet, frozenset({"encoder", "encoder_weights"}), lambda settings: 32
    ),
}
