"""Losses of logits (N, C, H, W) against labels (N, H, W): cross-entropy, Dice, their sum.

Every loss takes ``ignore_index``: a pixel with that label changes neither the value nor any
gradient, and where every pixel has it both are zero. All compute in float32 also under
autocast (float64 stays float64) and return a scalar. Labels out of range are refused as
`unet.overlap` says.

"Dice" alone says little: what is averaged, and what becomes of a class that does not occur,
differ from one published version to the next. Each version has a class and a name here;
docs/losses.md puts them side by side. Each has a module of its own, so that a change to one is no
change to the others.
"""

from __future__ import annotations

from unet.losses.cross_entropy import CrossEntropyLoss
from unet.losses.dice import DiceLoss
from unet.losses.dice_ce import DiceCELoss
from unet.losses.dice_image import DiceImageLoss
from unet.losses.dice_pooled import DicePooledLoss
from unet.losses.dice_present import DicePresentLoss
from unet.losses.pixel_weighted import PixelWeightedCrossEntropyLoss
from unet.overlap import ClassSums, class_sums

__all__ = [
    "ClassSums",
    "CrossEntropyLoss",
    "DiceCELoss",
    "DiceImageLoss",
    "DiceLoss",
    "DicePooledLoss",
    "DicePresentLoss",
    "PixelWeightedCrossEntropyLoss",
    "class_sums",
]
