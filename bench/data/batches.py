"""Images with labels → batches of random crops, the same for any number of workers.

Crop and augmentation of a sample are drawn from (seed, epoch, index) alone, so that neither the
number of loader processes nor an interruption changes the batches. One stream of batches goes on
over all epochs: what comes first in an epoch is loaded while the one before is trained on.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from bench.components.names import ComponentName, known
from bench.data import augment, device_augment
from bench.data.dataset import IGNORE_INDEX, Image, Mask, Split
from bench.data.device_loader import DeviceLoader
from bench.data.normalisation import EIGHT_BITS, Normalisation
from bench.data.order import Order
from bench.errors import UserError
from bench.settings import Settings

# (N, H, W, channels) uint8 or uint16, (N, H, W) uint8, if pixels are weighted (N, H, W) float32
Batch = tuple[torch.Tensor, ...]
Array = NDArray[Any]
Weights = Mapping[str, NDArray[np.float32]]  # name of an image → (H, W)
CPU = torch.device("cpu")


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
    augmentation: ComponentName | dict[str, Any] = Field(
        "none",
        description="a built-in augmentation, one of your own as package.module:name, or a "
        "pipeline as albumentations.to_dict gives it",
    )
    augmentation_options: dict[str, Any] = Field(
        {}, description="keyword arguments of the augmentation"
    )
    loader: Literal["host", "device"] = Field(
        "host",
        description="where crops are cut and augmented: host (on the CPU, by loader processes if "
        "there are any), or device (all training images are kept there as bytes; built-in "
        "augmentations only)",
    )

    def input_size(self, margin: int) -> int:
        """Return the input's height and width, for an output smaller by the margin (pixels)."""
        return self.crop_size + (margin if self.crop_of == "output" else 0)

    @field_validator("augmentation")
    @classmethod
    def _known_augmentation(cls, spec: augment.Spec) -> augment.Spec:
        if isinstance(spec, str):
            return known("augmentation", spec)
        augment.check(spec, {})
        return spec

    @field_validator("augmentation_options")
    @classmethod
    def _known_options(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "augmentation" in info.data:  # else it is wrong, which is said already
            augment.check(info.data["augmentation"], options)
        return options

    @field_validator("loader")
    @classmethod
    def _can_augment(cls, loader: str, info: ValidationInfo) -> str:
        if loader == "device" and "augmentation" in info.data:
            device_augment.check(info.data["augmentation"])
        return loader


@dataclass(eq=False)
class Crops(TorchDataset[Any]):
    """Random crops of the images of a split, addressed by (epoch, index).

    The part of a crop that an unpadded network predicts may be anywhere in the image: beyond the
    borders the image is mirrored. UserError if all images are dropped.
    """

    split: Split
    settings: BatchSettings
    seed: int  # decides crop and augmentation, with epoch and index
    margin: int = 0  # pixels by which the network's output is smaller than the crop
    weights: Weights | None = None
    normalisation: Normalisation = EIGHT_BITS

    def __post_init__(self) -> None:
        self.size = self.settings.input_size(self.margin)
        self.augment = augment.build(self.settings.augmentation, self.settings.augmentation_options)
        if self.augment is not None and self.weights is not None:
            self.augment.add_targets({"weights": "mask"})
        self.names, read = self.split.names, self.split.read
        if self.settings.small_images == "drop":
            least = self.size - self.margin
            self.names = tuple(name for name in self.names if min(read(name)[1].shape) >= least)
            if not self.names:
                raise UserError(
                    f"train.crop_size: none of the {len(self.split.names)} training images is as "
                    f"large as {least}×{least} pixels (small_images: drop)"
                )
        self.dropped = len(self.split.names) - len(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, address: tuple[int, int]) -> tuple[Array, ...]:
        epoch, index = address
        rng = self.generator(epoch, index)
        image, mask = self.split.read(self.names[index])
        parts: dict[str, Array] = {"image": image, "mask": mask}
        if self.weights is not None:
            parts["weights"] = self.weights[self.names[index]]
        if self.augment is not None:
            parts = augmented(self.augment, parts, self.normalisation.span)
        sides = parts["mask"].shape
        height, width = (max(side + self.margin, self.size) for side in sides)
        whole = [*pad(parts["image"], parts["mask"], height, width)]
        if self.weights is not None:
            whole.append(_enlarge(parts["weights"], height, width, fill=0))
        top, left = self.window(rng, *sides)
        top, left = top + (height - sides[0]) // 2, left + (width - sides[1]) // 2
        window = slice(top, top + self.size), slice(left, left + self.size)
        return tuple(np.ascontiguousarray(part[window]) for part in whole)

    def generator(self, epoch: int, index: int) -> np.random.Generator:
        """Return what a sample is drawn with: its augmentation first, then its `window`.

        One generator for all transforms: `set_random_seed` would give each of them its own
        generator with the same seed, and so correlated draws.
        """
        rng = np.random.default_rng([self.seed, epoch, index])
        if self.augment is not None:
            self.augment.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        return rng

    def window(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
        """Draw the top and left of a crop of an image; a negative one is outside of it."""
        found = []
        for side in (height, width):
            enlarged = max(side + self.margin, self.size)
            found.append(int(rng.integers(enlarged - self.size + 1)) - (enlarged - side) // 2)
        return found[0], found[1]


@dataclass(eq=False)
class Batches:
    """The training batches of every epoch: ``for images, labels in batches.epoch(3)``."""

    split: Split
    settings: BatchSettings
    _: KW_ONLY
    seed: int  # decides order, crops and augmentation
    workers: int  # loader processes; 0 loads in this process; any number gives the same batches
    margin: int = 0  # pixels by which the network's output is smaller than the crop
    weights: Weights | None = None  # augmented and cropped like labels; batches then have them too
    normalisation: Normalisation = EIGHT_BITS  # of these batches, once they are on the device
    device: torch.device = CPU  # on which they are wanted

    def __post_init__(self) -> None:
        cv2.setNumThreads(0)  # loader processes forked while OpenCV has threads would hang
        self.crops = Crops(
            self.split, self.settings, self.seed, self.margin, self.weights, self.normalisation
        )
        self.order = Order(len(self.crops), self.settings.batch_size, seed=self.seed)
        self.loader: Iterable[Batch] = self._on_device() or self._on_host()
        self._stream: Iterator[Batch] = iter(())
        self._next: int | None = None  # the epoch that the stream goes on with, if it is known

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.order)

    @property
    def bytes_on_device(self) -> int:
        """Bytes of training images that are kept on the device, with labels and weights."""
        return self.loader.nbytes if isinstance(self.loader, DeviceLoader) else 0

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch: (N, H, W, channels), (N, H, W), if given weights too.

        The stream goes on where this is the epoch after the last one; otherwise it begins anew.
        """
        if number != self._next:
            self.order.first = number
            self._stream = iter(self.loader)
        self._next = None  # unless all batches of this epoch are taken
        yield from itertools.islice(self._stream, len(self))
        self._next = number + 1

    def _on_device(self) -> DeviceLoader | None:
        if self.settings.loader == "host":
            return None
        return DeviceLoader(self.crops, self.order, self.device)

    def _on_host(self) -> DataLoader[Any]:
        return DataLoader(
            self.crops,
            batch_sampler=self.order,
            num_workers=self.workers,
            collate_fn=_stack,
            pin_memory=self.device.type == "cuda",
            persistent_workers=self.workers > 0,  # they keep decoded images in memory
            generator=torch.Generator(),  # torch's global generator is the model's alone
        )


def pad(image: Image, mask: Mask, height: int, width: int) -> tuple[Image, Mask]:
    """Enlarge an image to at least (height, width) by mirroring; the new labels are void.

    The image stays in the middle. One that is large enough is returned unchanged.
    """
    return _enlarge(image, height, width), _enlarge(mask, height, width, fill=IGNORE_INDEX)


def _enlarge(array: Array, height: int, width: int, *, fill: int | None = None) -> Array:
    """Return an array (H, W) or (H, W, channels) with equal borders: mirrored, or of one value."""
    rows, columns = max(height - array.shape[0], 0), max(width - array.shape[1], 0)
    if not rows and not columns:
        return array
    sides = rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
    kind = cv2.BORDER_REFLECT_101 if fill is None else cv2.BORDER_CONSTANT
    enlarged = cv2.copyMakeBorder(array, *sides, kind, value=[fill or 0])
    return enlarged.reshape(*enlarged.shape[:2], *array.shape[2:])  # OpenCV drops a last 1


def crop_to(targets: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Crop (N, H, W) targets to the centre, the part that an unpadded network predicts."""
    height, width = logits.shape[-2:]
    top = (targets.shape[-2] - height) // 2
    left = (targets.shape[-1] - width) // 2
    return targets[:, top : top + height, left : left + width]


def augmented(
    pipeline: Any, parts: dict[str, Array], span: tuple[float, float]
) -> dict[str, Array]:
    """Transform an image with its mask and weights.

    Of 16 bits it is float32 meanwhile, between 0 and 1: most transforms take no uint16, and
    brightness would be relative to 65535, whatever values a camera of 12 bits gives.
    """
    image, (low, high) = parts["image"], span
    if image.dtype == np.uint8:
        return dict(pipeline(**parts))
    scale = np.float32(high - low or 1)
    shown = ((image.astype(np.float32) - np.float32(low)) / scale).clip(0, 1)
    found = dict(pipeline(**{**parts, "image": shown}))
    values = found["image"] * scale + np.float32(low)
    return {**found, "image": values.round().clip(0, 65535).astype(np.uint16)}


def _stack(samples: list[tuple[Array, ...]]) -> Batch:
    return tuple(torch.from_numpy(np.stack(part)) for part in zip(*samples, strict=True))
