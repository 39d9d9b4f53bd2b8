"""Networks by name: how each is built, and which image sizes it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from torch import nn

from bench.components import options as component_options
from bench.components.file_names import FileOrName, file_of
from bench.components.names import Component, ComponentName, find, known
from bench.data.dataset import fingerprint
from bench.settings import Settings

GIVEN = ("in_channels", "num_classes")  # arguments that are not the user's to choose
ENCODER = "encoder_weights"  # what a provenance calls the digest of their file
SIZE_MULTIPLE = 32  # of a network that says nothing else: five poolings, as most encoders have


class ModelSettings(Settings):
    """Which network, and its options. An option that the network does not read changes nothing."""

    name: ComponentName = Field(
        "unet", description="a built-in network, or one of your own as package.module:Name"
    )
    base_channels: int = Field(
        64,
        ge=1,
        le=4096,
        description="channels of the first level (unet, unet_paper); maps of each convolution "
        "(sliding_window; in its paper 48)",
    )
    depth: int = Field(4, ge=1, le=8, description="number of poolings (unet, unet_paper)")
    upsampling: Literal["transposed", "bilinear"] = "transposed"
    bilinear: Literal["auto", "interpolate", "matmul"] = Field(
        "auto",
        description="how bilinear upsampling is computed (unet): by torch's kernel, by two matrix "
        "products, whose gradient is deterministic on CUDA, or by what the device is (products on "
        "CUDA)",
    )
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
    encoder_weights: FileOrName | None = Field(
        None,
        description="weights of the encoder: a name that segmentation_models_pytorch has for it, "
        "such as imagenet, or a file, ./weights.pth or .safetensors; null: none",
    )
    options: dict[str, Any] = Field({}, description="keyword arguments of a network of your own")

    @field_validator("name")
    @classmethod
    def _known_network(cls, name: str) -> str:
        return known("network", name)

    @field_validator("options")
    @classmethod
    def _known_options(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        name = info.data.get("name", "unet")  # it is missing where it is wrong, which is said
        if not find("network", name).is_ours:  # ours read the settings beside their names
            component_options.check("network", name, options, GIVEN)
        return options

    @property
    def encoder_file(self) -> Path | None:
        """The file of the encoder's weights, if they are in one."""
        return file_of(self.encoder_weights)

    def effective(self) -> dict[str, Any]:
        """Return the name and the options that this network reads, and no others."""
        unread = set()
        if self.upsampling != "bilinear" or self.bilinear == "auto":
            unread.add("bilinear")  # as it was before there was this setting
        read = {"name", *architecture(self).reads} - unread
        return self.model_dump(mode="json", include=read)

    def encoder_digest(self) -> dict[str, str]:
        """Return the digest of the file of the encoder's weights under its name in a provenance.

        Nothing if there is no such file, or the network does not read it. UserError if it cannot be
        read.
        """
        file = self.encoder_file
        if file is None or ENCODER not in architecture(self).reads:
            return {}
        return {ENCODER: fingerprint(file)}


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
    # The smallest side of a whole image, and the step to the next one, where not those of paddings.
    sides: tuple[int, int] | None = None
    window: Callable[[int, int], Any] | None = None
    # Given the channels of images, UserError if its library or a file lacks what is asked for.
    check: Callable[[int], None] = lambda in_channels: None
    fetch: Callable[[], None] = lambda: None  # what it is built of; UserError if that is not there


def architecture(settings: ModelSettings) -> Architecture:
    """Return the architecture that the settings name.

    UserError if a network of the user's own cannot be imported.
    """
    component = find("network", settings.name)
    if not component.is_ours:
        return _own(settings, component)
    found: Architecture = component.load()(settings)
    return found


def build(settings: ModelSettings, in_channels: int, num_classes: int) -> nn.Module:
    """Build a network that maps (N, in_channels, H, W) to logits (N, num_classes, H', W').

    H' and W' are smaller than H and W by the architecture's ``margin``. Initial weights come from
    torch's global generator.
    """
    return architecture(settings).build(in_channels, num_classes)


def _own(settings: ModelSettings, component: Component) -> Architecture:
    """Return the architecture of a user's network.

    The callable may say by attributes which sizes it takes: ``size_multiple``, of which height and
    width of a whole image are made a multiple, and ``margin``, by which its output is smaller.
    """
    function = component.load()
    return Architecture(
        lambda channels, classes: function(channels, classes, **settings.options),
        frozenset({"options"}),
        size_multiple=getattr(function, "size_multiple", SIZE_MULTIPLE),
        margin=getattr(function, "margin", 0),
    )
