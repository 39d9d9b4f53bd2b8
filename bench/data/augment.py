"""Named augmentation pipelines, each an albumentations ``Compose`` over image and mask.

They transform whole images, before the crop, so that their strength in pixels does not depend
on the crop size. Beyond its borders the image is mirrored, labels included.
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
    """Return a pipeline to be called with ``image`` (H, W, C) uint8 and ``mask`` (H, W).

    ``set_random_state`` comes first. None if there is nothing to do. The spec is a key of
    ``AUGMENTATIONS``, or a result of ``albumentations.to_dict``, or only its ``transform`` entry;
    UserError if it is none of these.
    """
    if isinstance(spec, str):
        if spec not in AUGMENTATIONS:
            raise UserError(f"unknown augmentation {spec!r}{nearest(spec, AUGMENTATIONS)}")
        transforms = AUGMENTATIONS[spec]()
        return A.Compose(transforms) if transforms else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as an unknown argument of a transform
            warnings.filterwarnings("ignore", message=".* has no 'p' parameter")
            pipeline = A.from_dict(spec if "transform" in spec else {"transform": spec})
    except Exception as error:  # the constructors of transforms raise errors of any type
        raise UserError(f"not a serialised albumentations pipeline ({error!r})") from error
    return pipeline if isinstance(pipeline, A.Compose) else A.Compose([pipeline])


def _rigid(**scale: tuple[float, float]) -> A.Affine:
    return A.Affine(
        **scale,
        translate_percent=(-0.1, 0.1),
        rotate=(-15, 15),
        border_mode=cv2.BORDER_REFLECT_101,
        p=0.8,
    )


def _elastic() -> ElasticDeformation:
    return ElasticDeformation(sigma=10.0, grid=3, p=0.8)


def _grey() -> A.RandomBrightnessContrast:
    return A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0.2, p=0.8)


# "paper" is what arXiv:1505.04597 lists: shift, rotation, grey values, elastic deformation. The
# paper gives numbers for the deformation only; those of the others are common values.
AUGMENTATIONS: dict[str, Callable[[], list[A.BasicTransform]]] = {
    "none": list,
    "flip": lambda: [A.HorizontalFlip(p=0.5)],
    "geometric": lambda: [A.HorizontalFlip(p=0.5), _rigid(scale=(0.8, 1.25))],
    "elastic": lambda: [A.HorizontalFlip(p=0.5), _elastic()],
    "paper": lambda: [_rigid(), _grey(), _elastic()],
    "paper_rigid": lambda: [_rigid(), _grey()],
}
