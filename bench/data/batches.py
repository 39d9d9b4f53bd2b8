"""Images with labels → batches of random crops, the same for every number of workers.

The crop and the augmentation of a sample are drawn from (seed, epoch, index) alone, so that
neither the number of loader processes nor an interruption changes what a network sees.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from bench.data import augment
from bench.data.dataset import IGNORE_INDEX, Image, Mask, Split
from bench.errors import UserError
from bench.settings import Settings

# (N, H, W, channels) uint8, (N, H, W) uint8 and, where pixels are weighed, (N, H, W) float32
Batch = tuple[torch.Tensor, ...]
Weights = Mapping[str, NDArray[np.float32]]  # name of an image → (H, W)


class BatchSettings(Settings):
    """How training crops are cut from images."""

    crop_size: int = Field(
        96, ge=1, le=1 << 14, description="height and width of a training crop, pixels"
    )
    crop_of: Literal["input", "output"] = Field(
        "input", description="crop_size is that of the network's input, or that of its output"
    )
    batch_size: int = Field(4, ge=1, le=1 << 16)
    small_images: Literal["pad", "drop"] = Field(
        "pad", description="images smaller than the crop: mirror their borders, or leave them out"
    )
    augmentation: str | dict[str, Any] = Field(
        "none", description="a key of bench.data.augment.AUGMENTATIONS, or a serialised pipeline"
    )

    def input_size(self, margin: int) -> int:
        """Return height and width of the input of a network whose output is smaller by a margin."""
        return self.crop_size + (margin if self.crop_of == "output" else 0)

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

    What an unpadded network predicts of a crop can lie anywhere in the image: its context is
    mirrored at the borders.

    Args:
        split: where the images come from.
        settings: size of the crops and what is done before cutting.
        seed: with epoch and index, it decides crop and augmentation.
        margin: by how much the network's output is smaller than a crop, in height and in width.
        weights: of the pixels of every image; warped and cut like its labels.

    Raises:
        UserError: if no image is left to train on.
    """

    def __init__(
        self,
        split: Split,
        settings: BatchSettings,
        *,
        seed: int,
        margin: int = 0,
        weights: Weights | None = None,
    ) -> None:
        self.read = split.read
        self.size = settings.input_size(margin)
        self.margin = margin
        self.weights = weights
        self.seed = seed
        self.augment = augment.build(settings.augmentation)
        if self.augment is not None and weights is not None:
            self.augment.add_targets({"weights": "mask"})
        self.names = split.names
        if settings.small_images == "drop":
            self.names = tuple(name for name in split.names if self._fits(name))
        self.dropped = len(split.names) - len(self.names)
        if not self.names:
            raise UserError(
                f"train.crop_size: none of the {len(split.names)} training images is as large as "
                f"{self.size - margin}×{self.size - margin} pixels (small_images: drop)"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, address: tuple[int, int]) -> tuple[NDArray[Any], ...]:
        epoch, index = address
        rng = np.random.default_rng([self.seed, epoch, index])
        image, mask = self.read(self.names[index])
        parts: dict[str, NDArray[Any]] = {"image": image, "mask": mask}
        if self.weights is not None:
            parts["weights"] = self.weights[self.names[index]]
        if self.augment is not None:
            # One generator for all transforms. `set_random_seed` would give each of them a
            # generator of its own with the same seed, and every sample correlated draws.
            self.augment.set_random_state(rng, random.Random(int(rng.integers(2**63))))
            parts = self.augment(**parts)
        height, width = (max(side + self.margin, self.size) for side in parts["mask"].shape)
        whole: list[NDArray[Any]] = [*pad(parts["image"], parts["mask"], height, width)]
        if self.weights is not None:
            whole.append(_bordered(parts["weights"], height, width))
        top = int(rng.integers(height - self.size + 1))
        left = int(rng.integers(width - self.size + 1))
        window = slice(top, top + self.size), slice(left, left + self.size)
        return tuple(np.ascontiguousarray(part[window]) for part in whole)

    def _fits(self, name: str) -> bool:
        return bool(min(self.read(name)[1].shape) >= self.size - self.margin)


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
        margin: by how much the network's output is smaller than a crop, in height and in width.
        weights: of the pixels of every image; batches then have them too.
    """

    def __init__(
        self,
        split: Split,
        settings: BatchSettings,
        *,
        seed: int,
        workers: int,
        margin: int = 0,
        weights: Weights | None = None,
    ) -> None:
        cv2.setNumThreads(0)  # a loader process forked beside OpenCV's threads would hang
        self.crops = Crops(split, settings, seed=seed, margin=margin, weights=weights)
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
        """Yield an epoch's batches: (N, H, W, channels), (N, H, W), perhaps (N, H, W) weights."""
        self.order.epoch = number
        yield from self.loader


def pad(image: Image, mask: Mask, height: int, width: int) -> tuple[Image, Mask]:
    """Enlarge an image to at least (height, width) by mirroring; the new labels are void.

    The image stays in the middle. Images that are large enough come back as they are.
    """
    sides = _sides(mask.shape, height, width)
    if not any(sides):
        return image, mask
    shape = (max(height, mask.shape[0]), max(width, mask.shape[1]), image.shape[2])
    padded = cv2.copyMakeBorder(image, *sides, cv2.BORDER_REFLECT_101).reshape(shape)
    void = cv2.copyMakeBorder(mask, *sides, cv2.BORDER_CONSTANT, value=[IGNORE_INDEX])
    return padded.astype(np.uint8, copy=False), void.astype(np.uint8, copy=False)


def crop_to(targets: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Cut (N, H, W) targets to the middle that an unpadded network predicts."""
    height, width = logits.shape[-2:]
    top = (targets.shape[-2] - height) // 2
    left = (targets.shape[-1] - width) // 2
    return targets[:, top : top + height, left : left + width]


def _bordered(weights: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Enlarge weights as `pad` enlarges labels; those of its void are 0."""
    sides = _sides(weights.shape, height, width)
    wide = cv2.copyMakeBorder(weights, *sides, cv2.BORDER_CONSTANT, value=[0])
    return wide.astype(np.float32, copy=False)


def _sides(shape: tuple[int, ...], height: int, width: int) -> tuple[int, int, int, int]:
    """Return what is missing above, below, to the left and to the right."""
    rows, columns = max(height - shape[0], 0), max(width - shape[1], 0)
    return rows // 2, rows - rows // 2, columns // 2, columns - columns // 2


def to_input(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Turn (N, H, W, channels) uint8 into a network's input: (N, channels, H, W) in [-1, 1].

    The bytes travel to the device, not the floats; the result is channels-last in memory.
    """
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 127.5 - 1


def _stack(samples: list[tuple[NDArray[Any], ...]]) -> Batch:
    return tuple(torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))
