"""Augmentation by name: an albumentations ``Compose`` over image and mask.

It transforms whole images, before the crop, so that its strength in pixels does not depend on the
crop size. Beyond its borders the image is mirrored, labels included.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any

# albumentations asks a package index for a newer version when it is imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A

from bench.components import options as component_options
from bench.components.names import find
from bench.errors import UserError

Spec = str | dict[str, Any]


def build(spec: Spec, options: Mapping[str, Any] | None = None) -> A.Compose | None:
    """Return a pipeline to be called with ``image`` (H, W, C) and ``mask`` (H, W) uint8.

    ``set_random_state`` comes first. None if there is nothing to do. The spec is the name of a
    component that returns a ``Compose`` or a list of transforms, or a result of
    ``albumentations.to_dict``, or only its ``transform`` entry; UserError if it is none of these.
    """
    if isinstance(spec, str):
        made = find("augmentation", spec).load()(**(options or {}))
        if isinstance(made, A.BasicTransform | A.BaseCompose):
            made = [made]
        if not isinstance(made, list | tuple):
            kind = type(made).__name__
            raise UserError(f"{spec}: returned {kind}, not a transform of albumentations or a list")
        return _composed(list(made))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as an unknown argument of a transform
            warnings.filterwarnings("ignore", message=".* has no 'p' parameter")
            pipeline = A.from_dict(spec if "transform" in spec else {"transform": spec})
    except Exception as error:  # the constructors of transforms raise errors of any type
        raise UserError(f"not a serialised albumentations pipeline ({error!r})") from error
    return _composed([pipeline])


def check(spec: Spec, options: Mapping[str, Any]) -> None:
    """Raise ValueError if there is no such augmentation, or it takes no such options."""
    try:
        if isinstance(spec, str):
            component_options.check("augmentation", spec, options)
        elif options:
            raise ValueError("a serialised pipeline takes no options")
        build(spec, options)
    except UserError as error:
        raise ValueError(str(error)) from error


def _composed(transforms: list[Any]) -> A.Compose | None:
    if len(transforms) == 1 and isinstance(transforms[0], A.Compose):
        return transforms[0]
    return A.Compose(transforms) if transforms else None
