"""The milesial family's network, written a second time; checkpoints of it are to load."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn


@pytest.fixture(name="family_net")
def _family_net():
    return FamilyNet


class FamilyDoubleConv(nn.Module):
    def __init__(self, cin, cout, cmid, bias):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(cin, cmid, 3, 1, 1, bias=bias),
            nn.BatchNorm2d(cmid),
            nn.ReLU(),
            nn.Conv2d(cmid, cout, 3, 1, 1, bias=bias),
            nn.BatchNorm2d(cout),
            nn.ReLU(),
        )

    def forward(self, x):
        return self.double_conv(x)


class FamilyDown(nn.Module):
    def __init__(self, cin, cout, bias):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), FamilyDoubleConv(cin, cout, cout, bias))

    def forward(self, x):
        return self.maxpool_conv(x)


class FamilyUp(nn.Module):
    def __init__(self, cin, cout, bilinear, bias):
        super().__init__()
        self.bilinear = bilinear
        if not bilinear:
            self.up = nn.ConvTranspose2d(cin, cin // 2, 2, 2)
        self.conv = FamilyDoubleConv(cin, cout, cin // 2 if bilinear else cout, bias)

    def forward(self, x, skip):
        if self.bilinear:
            size = [2 * x.shape[2], 2 * x.shape[3]]
            x = F.interpolate(x, size, mode="bilinear", align_corners=True)
        else:
            x = self.up(x)
        canvas = x.new_zeros(*x.shape[:2], *skip.shape[2:])
        top, left = ((a - b) // 2 for a, b in zip(skip.shape[2:], x.shape[2:], strict=True))
        canvas[:, :, top : top + x.shape[2], left : left + x.shape[3]] = x
        return self.conv(torch.cat([skip, canvas], 1))


class FamilyOut(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 1)

    def forward(self, x):
        return self.conv(x)


class FamilyNet(nn.Module):
    def __init__(self, cin, classes, *, bilinear, b, bias=False):
        super().__init__()
        h = 2 if bilinear else 1
        self.inc = FamilyDoubleConv(cin, b, b, bias)
        self.down1 = FamilyDown(b, 2 * b, bias)
        self.down2 = FamilyDown(2 * b, 4 * b, bias)
        self.down3 = FamilyDown(4 * b, 8 * b, bias)
        self.down4 = FamilyDown(8 * b, 16 * b // h, bias)
        self.up1 = FamilyUp(16 * b, 8 * b // h, bilinear, bias)
        self.up2 = FamilyUp(8 * b, 4 * b // h, bilinear, bias)
        self.up3 = FamilyUp(4 * b, 2 * b // h, bilinear, bias)
        self.up4 = FamilyUp(2 * b, b, bilinear, bias)
        self.outc = FamilyOut(b, classes)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x = self.up1(self.down4(x4), x4)
        return self.outc(self.up4(self.up3(self.up2(x, x3), x2), x1))
