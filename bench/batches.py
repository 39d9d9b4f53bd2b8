"""Images with labels → batches of random crops, the same for every number of workers.

The crop and the augmentation of a sample are drawn from (seed, epoch, index) alone, so that
neither the number of loader processes nor an interruption changes what a network sees.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Literal

import cv2
import numpy as np
import torch
from pydantic import Field, field_validator
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from bench import augment
from bench.datasets import IGNORE_INDEX, Image, Mask, Split
from bench.errors import UserError
from bench.settings import Settings

Batch = tuple[torch.Tensor, torch.Tensor]  # (N, H, W, channels) uint8, (N, H, W) uint8


class BatchSettings(Settings):
    """How training crops are cut from images."""

    crop_size: int = Field(96, ge=1, description="height and width of a training crop, pixels")
    batch_size: int = Field(4, ge=1)
    small_images: Literal["pad", "drop"] = Field(
        "pad", description="images smaller than the crop: mirror their borders, or leave them out"
    )
    augmentation: str | dict[str, Any] = Field(
        "none", description="a key of bench.augment.AUGMENTATIONS, or a serialised pipeline"
    )

    @field_validator("augmentation")
    @classmethod
    def _known_augmentation(cls, spec: augment.Spec) -> augment.Spec:
        try:
            augment.build(spec)
        except UserError as error:
            raise ValueError(str(error)) from error
        return spec


class Crops(TorchDataset[Any]):
    """Random crops of the images of a split, addressed by (epoch, index).

    Args:
        split: where the images come from.
        settings: size of the crops and what is done before cutting.
        seed: with epoch and index, it decides crop and augmentation.

    Raises:
        UserError: if no image is left to train on.
    """

    def __init__(self, split: Split, settings: BatchSettings, *, seed: int) -> None:
        self.read = split.read
        self.size = settings.crop_size
        self.seed = seed
        self.augment = augment.build(settings.augmentation)
        self.names = split.names
        if settings.small_images == "drop":
            self.names = tuple(name for name in split.names if self._fits(name))
        self.dropped = len(split.names) - len(self.names)
        if not self.names:
            raise UserError(
                f"train.crop_size: none of the {len(split.names)} training images is as large as "
                f"{self.size}×{self.size} pixels (small_images: drop)"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, address: tuple[int, int]) -> tuple[Image, Mask]:
        epoch, index = address
        rng = np.random.default_rng([self.seed, epoch, index])
        image, mask = self.read(self.names[index])
        if self.augment is not None:
            # One generator for all transforms. `set_random_seed` would give each of them a
            # generator of its own with the same seed, and every sample correlated draws.
            self.augment.set_random_state(rng, random.Random(int(rng.integers(2**63))))
            moved = self.augment(image=image, mask=mask)
            image, mask = moved["image"], moved["mask"]
        image, mask = pad(image, mask, self.size, self.size)
        top = int(rng.integers(mask.shape[0] - self.size + 1))
        left = int(rng.integers(mask.shape[1] - self.size + 1))
        window = slice(top, top + self.size), slice(left, left + self.size)
        return np.ascontiguousarray(image[window]), np.ascontiguousarray(mask[window])

    def _fits(self, name: str) -> bool:
        return bool(min(self.read(name)[1].shape) >= self.size)


class Order:
    """A batch sampler: for each epoch a permutation of its own, cut into full batches.

    The images left over when the last batch is not full sit out; they change from epoch to
    epoch. Fewer images than a batch make one smaller batch.
    """

    def __init__(self, length: int, batch_size: int, *, seed: int) -> None:
        self.length = length
        self.batch_size = min(batch_size, length)
        self.seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.length // self.batch_size

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            yield [(self.epoch, int(index)) for index in chosen]


class Batches:
    """The training batches of every epoch: ``for images, labels in batches.epoch(3)``.

    Args:
        split: where the images come from.
        settings: crop, batch size, augmentation.
        seed: decides order, crops and augmentation.
        workers: loader processes; 0 loads in this process. Does not change the batches.
    """

    def __init__(self, split: Split, settings: BatchSettings, *, seed: int, workers: int) -> None:
        cv2.setNumThreads(0)  # a loader process forked beside OpenCV's threads would hang
        self.crops = Crops(split, settings, seed=seed)
        self.order = Order(len(self.crops), settings.batch_size, seed=seed)
        self.loader: DataLoader[Any] = DataLoader(
            self.crops,
            batch_sampler=self.order,
            num_workers=workers,
            collate_fn=_stack,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=workers > 0,  # they keep the images that they have decoded
            generator=torch.Generator(),  # leaves torch's global generator to the model
        )

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.order)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch: (N, H, W, channels) and (N, H, W), both uint8."""
        self.order.epoch = number
        yield from self.loader


def pad(image: Image, mask: Mask, height: int, width: int) -> tuple[Image, Mask]:
    """Enlarge an image to at least (height, width) by mirroring; the new labels are void.

    The image stays in the middle. Images that are large enough come back as they are.
    """
    missing = max(height - mask.shape[0], 0), max(width - mask.shape[1], 0)
    if not any(missing):
        return image, mask
    top, left = missing[0] // 2, missing[1] // 2
    sides = (top, missing[0] - top, left, missing[1] - left)
    shape = (mask.shape[0] + missing[0], mask.shape[1] + missing[1], image.shape[2])
    padded = cv2.copyMakeBorder(image, *sides, cv2.BORDER_REFLECT_101).reshape(shape)
    void = cv2.copyMakeBorder(mask, *sides, cv2.BORDER_CONSTANT, value=[IGNORE_INDEX])
    return padded.astype(np.uint8, copy=False), void.astype(np.uint8, copy=False)


def to_input(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Turn (N, H, W, channels) uint8 into a network's input: (N, channels, H, W) in [-1, 1].

    The bytes travel to the device, not the floats; the result is channels-last in memory.
    """
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 127.5 - 1


def _stack(samples: list[tuple[Image, Mask]]) -> Batch:
    images, masks = zip(*samples, strict=True)
    return torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks))
