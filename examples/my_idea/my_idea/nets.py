"""A network: a callable (in_channels, num_classes, **options) → ``nn.Module``."""

from torch import Tensor, nn


class Dilated(nn.Module):
    """Convolutions whose dilation doubles from layer to layer: no pooling, no upsampling."""

    size_multiple = 1  # height and width of whole images are padded to a multiple of this

    def __init__(self, in_channels: int, num_classes: int, *, width: int = 16, depth: int = 4):
        super().__init__()
        layers: list[nn.Module] = []
        for level in range(depth):
            channels = in_channels if level == 0 else width
            dilation = 2**level
            layers += [
                nn.Conv2d(channels, width, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, num_classes, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, num_classes, H, W) of images (N, in_channels, H, W)."""
        return self.layers(images)
