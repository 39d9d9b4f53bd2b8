"""Whether an augmentation of the user's own takes the images of a dataset, before any training."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import albumentations as A

from bench.components.names import find
from bench.data import augment, normalisation
from bench.data.batches import BatchSettings, augmented
from bench.data.dataset import Dataset
from bench.data.normalisation import NormalisationChoice
from bench.errors import UserError


def check(settings: BatchSettings, choice: NormalisationChoice, dataset: Dataset) -> None:
    """Apply every transform to the first training image; UserError names one that fails.

    Transforms of albumentations take 1 or 3 channels of 8 bits; some of them take others. Those of
    the named pipelines take all, and are not tried.
    """
    spec = settings.augmentation
    if isinstance(spec, str) and find("augmentation", spec).is_ours:
        return
    pipeline = augment.build(spec, settings.augmentation_options)
    if pipeline is None:
        return
    image, mask = dataset.splits["train"].read(dataset.splits["train"].names[0])
    span = normalisation.of(choice, dataset).span
    images = f"images of {dataset.in_channels} channels and {dataset.bits} bits"
    for transform in _leaves(pipeline):
        alone = copy.deepcopy(transform)
        alone.p = 1.0
        name = type(transform).__name__
        try:
            parts = augmented(A.Compose([alone]), {"image": image.copy(), "mask": mask}, span)
        except Exception as error:  # transforms raise errors of any type
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(f"train.augmentation: {name} takes no {images} ({reason})") from error
        found = parts["image"]
        if found.shape[2:] != image.shape[2:] or found.dtype != image.dtype:
            form = f"{found.dtype}, {found.shape[2] if found.ndim > 2 else 1} channels"
            raise UserError(f"train.augmentation: {name} makes other {images} ({form})")


def _leaves(transform: Any) -> Iterator[Any]:
    """Yield the transforms in a pipeline, also in choices and sequences inside it."""
    if isinstance(transform, A.BaseCompose):
        for part in transform.transforms:
            yield from _leaves(part)
    else:
        yield transform
