"""Augmentations by mirroring, moving, turning and scaling, and of grey values."""

from __future__ import annotations

import albumentations as A
import cv2


def none() -> list[A.BasicTransform]:
    """Leave images as they are."""
    return []


def flip() -> list[A.BasicTransform]:
    """Mirror every other image left to right."""
    return [A.HorizontalFlip(p=0.5)]


def geometric() -> list[A.BasicTransform]:
    """Mirror, move, turn and scale."""
    return [A.HorizontalFlip(p=0.5), moved(scale=(0.8, 1.25))]


def paper_rigid() -> list[A.BasicTransform]:
    """Do what arXiv:1505.04597 lists but for elastic deformation: shift, rotation, grey values.

    The paper gives no numbers for these; they are common values.
    """
    return [moved(), A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.8)]


def moved(**scale: tuple[float, float]) -> A.Affine:
    """Move by up to a tenth of the image and turn by up to 15 degrees, four times out of five."""
    return A.Affine(
        **scale,
        translate_percent=(-0.1, 0.1),
        rotate=(-15, 15),
        border_mode=cv2.BORDER_REFLECT_101,
        p=0.8,
    )
