"""A training step beside the same network written plainly, and beside smp's; a trial's overhead."""

import itertools

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from torch import nn

from unet import UNet
from unet.losses import DiceCELoss

CLASSES, SIDE, BATCH = 21, 192, 2


class PlainBlock(nn.Sequential):
    def __init__(self, inputs, outputs, middle=None):
        middle = middle or outputs
        super().__init__(
            nn.Conv2d(inputs, middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            nn.ReLU(inplace=True),
            nn.Conv2d(middle, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class PlainUNet(nn.Module):
    """The padded U-Net with batch norm as it is commonly written, run in torch's defaults."""

    def __init__(self, upsampling):
        super().__init__()
        bilinear = upsampling == "bilinear"
        widths = [64, 128, 256, 512, 512 if bilinear else 1024]
        self.first = PlainBlock(3, widths[0])
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), PlainBlock(a, b)) for a, b in itertools.pairwise(widths)
        )
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        for level in (512, 256, 128, 64):
            if bilinear:
                self.up.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True))
                self.join.append(PlainBlock(2 * level, max(level // 2, 64), level))
            else:
                self.up.append(nn.ConvTranspose2d(2 * level, level, 2, stride=2))
                self.join.append(PlainBlock(2 * level, level))
        self.last = nn.Conv2d(64, CLASSES, 1)

    def forward(self, x):
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([skips.pop(), up(x)], dim=1))
        return self.last(x)


def plain_step(model, images, labels):
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()

    return step


def our_step(model, images, labels, loss):
    """As the harness trains: channels last, the fused optimiser."""
    model = model.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(model(images), labels).backward()
        optimizer.step()

    return step


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_training_step(race, upsampling):
    """U-Net 64, 2 x 3 x 192² float32: the same arithmetic, each with cross-entropy."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, SIDE, SIDE, generator=generator)
    labels = torch.randint(CLASSES, (BATCH, SIDE, SIDE), generator=generator)
    ours, plain = UNet(3, CLASSES, upsampling=upsampling), PlainUNet(upsampling)
    sizes = [sum(p.numel() for p in model.parameters()) for model in (ours, plain)]
    assert sizes[0] == sizes[1]
    seconds = race(
        {
            "ours": our_step(ours, images, labels, nn.CrossEntropyLoss()),
            "plain U-Net": plain_step(plain, images, labels),
            "ours with Dice + CE": our_step(
                UNet(3, CLASSES, upsampling=upsampling), images, labels, DiceCELoss()
            ),
            "smp Unet resnet34": plain_step(
                smp.Unet("resnet34", encoder_weights=None, classes=CLASSES), images, labels
            ),
        },
        rounds=7,
    )
    # Nine tenths of the step are convolutions, for both from the same library, which runs them
    # as fast as the processor multiplies large matrices; there is little left to gain.
    assert seconds["plain U-Net"] >= seconds["ours"]
