"""Networks of ``torchvision.models.segmentation``."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from bench.training.models import Architecture, ModelSettings


def fcn_resnet50(settings: ModelSettings) -> Architecture:
    """Return torchvision's FCN."""
    return _of_torchvision("fcn_resnet50")


def deeplabv3_resnet50(settings: ModelSettings) -> Architecture:
    """Return torchvision's DeepLabv3."""
    return _of_torchvision("deeplabv3_resnet50")


class Logits(nn.Module):
    """A torchvision segmentation network that returns its logits alone, not a dictionary."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes, H, W) of images (N, C, H, W)."""
        logits: Tensor = self.network(images)["out"]
        return logits


def _of_torchvision(name: str) -> Architecture:
    """Return a network of ``torchvision.models.segmentation`` over a dilated ResNet-50."""

    def build(in_channels: int, num_classes: int) -> nn.Module:
        from torchvision.models import segmentation

        make = getattr(segmentation, name)
        network: Any = make(weights=None, weights_backbone=None, num_classes=num_classes)
        if in_channels != 3:  # torchvision builds it for RGB images only
            network.backbone.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        return Logits(network)

    return Architecture(build, frozenset(), size_multiple=8)
