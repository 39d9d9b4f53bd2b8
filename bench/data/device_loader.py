"""Training batches that are cut and augmented on the device, from images that are kept there.

What a sample is depends on (seed, epoch, index) as in main memory: crops and mirrored images are
the same to the byte, and what is interpolated differs by one grey value at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.data import device_augment
from bench.data.dataset import IGNORE_INDEX
from bench.data.device_augment import Numbers
from bench.data.device_views import View, keep, mirrored, recoloured
from bench.data.order import Order

if TYPE_CHECKING:
    from bench.data.batches import Batch, Crops

_OWN = 3  # numbers of a sample beside those of its augmentation: image, top and left


@dataclass(eq=False)
class DeviceLoader:
    """The batches of an order, (B, S, S, channels) and so on as of the loader in main memory."""

    crops: Crops
    order: Order
    device: torch.device

    def __post_init__(self) -> None:
        crops, names = self.crops, self.crops.names
        weights = [] if crops.weights is None else [crops.weights[name] for name in names]
        self.images = keep(crops.split, names, weights, self.device)
        self.transforms = device_augment.build(
            crops.augment, self.images.shapes, self.images.bits, self.device
        )

    @property
    def nbytes(self) -> int:
        """Bytes of images, labels and weights that are kept on the device."""
        return self.images.nbytes

    def __iter__(self) -> Iterator[Batch]:
        for addresses in self.order:
            drawn = np.stack([self._drawn(epoch, index) for epoch, index in addresses])
            largest = self.images.shapes[[index for _, index in addresses]].max(0)
            yield self._batch(self._moved(drawn), (int(largest[0]), int(largest[1])))

    def _drawn(self, epoch: int, index: int) -> Numbers:
        """Return all that is random about a sample: which image, where it is cut, and how."""
        crops, (height, width) = self.crops, map(int, self.images.shapes[index])
        rng, drawn = crops.generator(epoch, index), np.empty(0)
        if crops.augment is not None:
            image = self._stand_in(height, width)
            drawn = device_augment.draw(crops.augment, self.transforms, image)
        top, left = crops.window(rng, height, width)
        return np.concatenate([[index, top, left], drawn])

    def _stand_in(self, height: int, width: int) -> NDArray[Any]:
        """Return an image with shape and type, as transforms are given it, and no memory."""
        kind = np.uint8 if self.images.bits == 8 else np.float32
        return np.broadcast_to(np.zeros(1, kind), (height, width, self.images.pixels.shape[1]))

    def _moved(self, numbers: Numbers) -> Tensor:
        """Copy to the device without waiting for what it still has to do."""
        moved = torch.from_numpy(numbers)
        if self.device.type == "cuda":
            moved = moved.pin_memory()
        return moved.to(self.device, non_blocking=True)

    def _batch(self, numbers: Tensor, largest: tuple[int, int]) -> Batch:
        index, top, left = numbers[:, :_OWN].long().unbind(1)
        view = self._augmented(self.images.view(index, largest), numbers[:, _OWN:])
        steps = torch.arange(self.crops.size, device=self.device)
        rows, columns = (top[:, None] + steps)[:, :, None], (left[:, None] + steps)[:, None, :]
        inside = mirrored(rows, view.heights), mirrored(columns, view.widths)
        outside = (inside[0] != rows) | (inside[1] != columns)
        fills = IGNORE_INDEX, 0  # of labels and of weights
        maps = (
            values.masked_fill(outside, fill)
            for values, fill in zip(view.maps(*inside), fills, strict=False)
        )
        return self._whole(view.image(*inside)), *maps

    def _augmented(self, view: View, numbers: Tensor) -> View:
        """Transform a batch; of 16 bits it is between 0 and 1 meanwhile, as in main memory."""
        if self.crops.augment is None or self.images.bits == 8:
            return device_augment.apply(self.transforms, view, numbers)
        low, high = self.crops.normalisation.span
        scale = high - low or 1.0
        shown = recoloured(view, lambda image: ((image - low) / scale).clamp(0, 1))
        found = device_augment.apply(self.transforms, shown, numbers)
        return recoloured(found, lambda image: image * scale + low)

    def _whole(self, image: Tensor) -> Tensor:
        if self.images.bits == 8:
            return image.to(torch.uint8)
        return image.round_().clamp_(0, 65535).int().to(torch.uint16)
