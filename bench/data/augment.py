"""Named augmentation pipelines, each an albumentations ``Compose`` over image and mask.

They run on whole images, before the crop, so that their strength in pixels does not depend
on the crop. What a transform moves in from outside the image is mirrored, labels included.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any

# albumentations asks a package index for a newer version when it is imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A
import cv2

from bench.errors import UserError, nearest
from unet.elastic import ElasticDeformation

Spec = str | dict[str, Any]


def build(spec: Spec) -> A.Compose | None:
    """Return the pipeline of a name, or of a serialised one (``albumentations.to_dict``).

    Args:
        spec: a key of ``AUGMENTATIONS``, or the dictionary that ``albumentations.to_dict``
            gave, which may be reduced to its ``transform`` entry.

    Returns:
        A pipeline to be called with ``image`` (H, W, C) uint8 and ``mask`` (H, W), its
        randomness given by ``set_random_state``; None where nothing is to be done.

    Raises:
        UserError: if the name is unknown or the dictionary is no pipeline.
    """
    if isinstance(spec, str):
        if spec not in AUGMENTATIONS:
            raise UserError(f"unknown augmentation {spec!r}{nearest(spec, AUGMENTATIONS)}")
        transforms = AUGMENTATIONS[spec]()
        return A.Compose(transforms) if transforms else None
    return _deserialise(spec)


def _deserialise(spec: dict[str, Any]) -> A.Compose:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an argument that a transform does not know, say
            warnings.filterwarnings("ignore", message=".* has no 'p' parameter")
            pipeline = A.from_dict(spec if "transform" in spec else {"transform": spec})
    except Exception as error:  # albumentations raises whatever its constructors raise
        raise UserError(f"not a serialised albumentations pipeline ({error!r})") from error
    return pipeline if isinstance(pipeline, A.Compose) else A.Compose([pipeline])


def none() -> list[A.BasicTransform]:
    """Return nothing: the images as they are."""
    return []


def flip() -> list[A.BasicTransform]:
    """Return mirroring left to right, every second time."""
    return [A.HorizontalFlip(p=0.5)]


def geometric() -> list[A.BasicTransform]:
    """Return mirroring, and scale, shift and rotation."""
    return [
        *flip(),
        A.Affine(
            scale=(0.8, 1.25),
            translate_percent=(-0.1, 0.1),
            rotate=(-15, 15),
            border_mode=cv2.BORDER_REFLECT_101,
            p=0.8,
        ),
    ]


def elastic() -> list[A.BasicTransform]:
    """Return mirroring and the paper's elastic deformation."""
    return [*flip(), ElasticDeformation(sigma=10.0, grid=3, p=0.8)]


def paper() -> list[A.BasicTransform]:
    """Return what arXiv:1505.04597 lists: shift, rotation, grey values, elastic deformation.

    It gives numbers for the deformation alone; the others are of a size usual with it.
    """
    return [*paper_rigid(), ElasticDeformation(sigma=10.0, grid=3, p=0.8)]


def paper_rigid() -> list[A.BasicTransform]:
    """Return what the paper lists but for the elastic deformation."""
    return [
        A.Affine(
            translate_percent=(-0.1, 0.1),
            rotate=(-15, 15),
            border_mode=cv2.BORDER_REFLECT_101,
            p=0.8,
        ),
        A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.8),
    ]


AUGMENTATIONS: dict[str, Callable[[], list[A.BasicTransform]]] = {
    "none": none,
    "flip": flip,
    "geometric": geometric,
    "elastic": elastic,
    "paper": paper,
    "paper_rigid": paper_rigid,
}
