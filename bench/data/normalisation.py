"""How pixel values become a network's input: shifted and scaled, channel by channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Discriminator, Field, Tag, field_validator

from bench.data.dataset import Dataset, Split
from bench.errors import UserError
from bench.settings import Settings

if TYPE_CHECKING:  # records hold normalisations, and reading them takes no torch
    import torch

# Of pixel values between 0 and 1; of the networks that torchvision and timm trained on ImageNet.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_KNOWN: dict[str, _Moments] = {}  # by the fingerprint of the images


class Range(Settings):
    """A fixed range of pixel values: it becomes −1 to 1, and what is beyond counts as its ends."""

    range: tuple[
        Annotated[float, Field(ge=0, le=65535)], Annotated[float, Field(ge=0, le=65535)]
    ] = Field(description="lowest and highest pixel value")

    @field_validator("range")
    @classmethod
    def _rises(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if ends[0] >= ends[1]:
            raise ValueError(f"{ends[0]:g} is not below {ends[1]:g}")
        return ends


def _kind(value: Any) -> str:
    return "[range]" if isinstance(value, dict | Range) else "[name]"


# The tags are in brackets so that messages leave them out; see `bench.settings`.
NormalisationChoice = Annotated[
    Annotated[Literal["full_range", "dataset", "imagenet"], Tag("[name]")]
    | Annotated[Range, Tag("[range]")],
    Discriminator(_kind),
]


@dataclass(frozen=True)
class Normalisation:
    """(pixel − mean) / std, with one mean and std for each channel, or one for all of them.

    ``mean``, ``std`` and ``span`` are in units of pixel values. Augmentations of 16-bit images
    take the ends of ``span`` as black and white; if ``clipped``, values beyond count as its ends.
    """

    bits: int = 8  # of a channel of the images: 8 or 16
    mean: tuple[float, ...] = (127.5,)
    std: tuple[float, ...] = (127.5,)
    span: tuple[float, float] = (0.0, 255.0)
    clipped: bool = False

    def __call__(self, images: torch.Tensor, device: torch.device) -> torch.Tensor:
        """Convert (N, H, W, channels) integers to a network's input (N, channels, H, W) float32.

        Integers are transferred to the device, not floats; the result is channels-last in memory.
        UserError if images are not of ``bits`` bits, or have another number of channels.
        """
        channels = images.shape[-1]
        if images.itemsize * 8 != self.bits or len(self.mean) not in (1, channels):
            wanted = f"{self.bits} bits" + (f", {len(self.mean)} channels" * (len(self.mean) > 1))
            raise UserError(
                f"images of {images.itemsize * 8} bits and {channels} channels do not fit the "
                f"normalisation that the network was trained with ({wanted})"
            )
        values = copied(images, device).permute(0, 3, 1, 2).float()
        if self.clipped:
            values = values.clamp_(*self.span)
        shift = [mean / std for mean, std in zip(self.mean, self.std, strict=True)]
        if len(shift) == 1:
            return values / self.std[0] - shift[0]
        std, offset = (values.new_tensor(by)[:, None, None] for by in (self.std, shift))
        return values / std - offset

    def formula(self) -> str:
        """Return how a network's input follows from pixel values, for who uses it elsewhere."""
        low, high = (f"{end:.9g}" for end in self.span)
        pixel = f"clip(pixel, {low}, {high})" if self.clipped else "pixel"
        if len(set(self.mean)) == len(set(self.std)) == 1 and self.mean == self.std:
            return f"{pixel} / {self.std[0]:.9g} - 1"
        mean, std = (
            f"{by[0]:.9g}" if len(by) == 1 else f"[{', '.join(f'{value:.9g}' for value in by)}]"
            for by in (self.mean, self.std)
        )
        return f"({pixel} - {mean}) / {std}"


def copied(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return values on a device; CUDA copies what is pinned while the host goes on."""
    return values.to(device, non_blocking=device.type == "cuda")


EIGHT_BITS = Normalisation()  # the full range of 8-bit images


def check(choice: NormalisationChoice, dataset: Dataset) -> None:
    """Raise UserError if images of a dataset cannot be normalised so."""
    if choice == "imagenet" and dataset.in_channels != 3:
        raise UserError(
            f"train.normalisation: imagenet is of 3 channels, and images of {dataset.name} have "
            f"{dataset.in_channels}; take dataset"
        )
    if isinstance(choice, Range) and choice.range[1] > _white(dataset):
        raise UserError(
            f"train.normalisation: the range ends at {choice.range[1]:g}, but pixels of "
            f"{dataset.name} have {dataset.bits} bits and end at {_white(dataset)}"
        )


def of(choice: NormalisationChoice, dataset: Dataset) -> Normalisation:
    """Return the normalisation of a dataset's images; raises as ``check``.

    ``dataset`` takes mean and standard deviation of all pixels of the training split, void
    included; a channel of one value only is shifted and not scaled.
    """
    check(choice, dataset)
    bits, white = dataset.bits, _white(dataset)
    if isinstance(choice, Range):
        low, high = choice.range
        return Normalisation(bits, ((high + low) / 2,), ((high - low) / 2,), (low, high), True)
    if choice == "imagenet":
        mean, std = (tuple(x * white for x in by) for by in (IMAGENET_MEAN, IMAGENET_STD))
        return Normalisation(bits, mean, std, (0.0, white))
    if choice == "dataset":
        found = _moments(dataset.splits["train"])
        return Normalisation(bits, found.mean, found.std, found.span if bits > 8 else (0.0, white))
    return Normalisation(bits, (white / 2,), (white / 2,), (0.0, white))


def _white(dataset: Dataset) -> int:
    return int(2**dataset.bits - 1)


@dataclass(frozen=True)
class _Moments:
    """Of the pixel values of a split: by channel, and the least and largest of all channels."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    span: tuple[float, float]


def _moments(split: Split) -> _Moments:
    """Return the moments of a split, which is read once a process."""
    if split.fingerprint not in _KNOWN or not split.fingerprint:
        _KNOWN[split.fingerprint] = _measured(split)
    return _KNOWN[split.fingerprint]


def _measured(split: Split) -> _Moments:
    count = 0
    sums: Any = 0  # arrays of Python's integers, so that nothing is rounded or overflows
    squares: Any = 0
    ends: list[int] = []
    for name in split.names:
        pixels = (image := split.read(name)[0]).reshape(-1, image.shape[-1]).astype(np.uint64)
        count += len(pixels)
        sums = sums + pixels.sum(0).astype(object)
        squares = squares + np.square(pixels, out=pixels).sum(0).astype(object)
        ends += [int(image.min()), int(image.max())]
    mean = tuple(total / count for total in sums)
    std = tuple(
        math.sqrt(count * square - total**2) / count or 1.0
        for total, square in zip(sums, squares, strict=True)
    )
    return _Moments(mean, std, (float(min(ends)), float(max(ends))))
