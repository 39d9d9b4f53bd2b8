"""The built-in augmentations on a device, drawn as albumentations draws them.

A transform here has two halves: what is drawn for one image, in main memory, by the transform of
albumentations itself, and what these numbers do to a batch, on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.components.names import find
from bench.data.augment import Spec
from bench.data.device_views import View, flipped, recoloured, warped
from unet.elastic import ElasticDeformation, cubic_weights

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Transform:
    """One transform: how its numbers are drawn for an image, and what they do to a batch.

    ``draw`` takes a stand-in of the image, which has its shape and type only. An image that the
    transform leaves as it is has the numbers ``nothing``.
    """

    source: Any  # the transform of albumentations
    draw: Callable[[NDArray[Any]], Sequence[float] | Numbers]
    nothing: Numbers  # (K,)
    apply: Callable[[View, Tensor], View]  # takes numbers (B, K) float64


def check(spec: Spec) -> None:
    """Raise ValueError if an augmentation is none of those that a device can do."""
    if not isinstance(spec, str):
        raise ValueError("device cannot do a pipeline of albumentations; loader: host can")
    if not find("augmentation", spec).is_ours:
        raise ValueError(f"device cannot do the augmentation {spec}; loader: host can")


def build(
    pipeline: A.Compose | None, sizes: NDArray[np.int64], bits: int, device: torch.device
) -> list[Transform]:
    """Return the transforms of a pipeline for images of ``bits``, whose sides are of ``sizes``."""
    transforms = [] if pipeline is None else pipeline.transforms
    return [_KINDS[type(one)](one, sizes, bits, device) for one in transforms]


def draw(pipeline: A.Compose, transforms: Sequence[Transform], image: NDArray[Any]) -> Numbers:
    """Return the numbers of all transforms for an image, after ``set_random_state``.

    Random numbers are used up in the order in which calling the pipeline would use them up.
    """
    applies = pipeline.py_random.random() < pipeline.p
    found = [
        np.asarray(one.draw(image)) if applies and one.source.should_apply() else one.nothing
        for one in transforms
    ]
    return np.concatenate([np.empty(0), *found])


def apply(transforms: Sequence[Transform], view: View, numbers: Tensor) -> View:
    """Return a batch as the transforms change it, given the numbers of its images."""
    begin = 0
    for one in transforms:
        view = one.apply(view, numbers[:, begin : begin + len(one.nothing)])
        begin += len(one.nothing)
    return view


def _flip(source: A.HorizontalFlip, *_: Any) -> Transform:
    return Transform(
        source,
        lambda image: [1.0],
        np.zeros(1),
        lambda view, chosen: flipped(view, chosen[:, :, None] > 0),
    )


def _affine(
    source: A.Affine, sizes: NDArray[np.int64], bits: int, device: torch.device
) -> Transform:
    def draw(image: NDArray[Any]) -> Numbers:
        matrix = source.get_params_dependent_on_data({"shape": image.shape}, {})["matrix"]
        inverse: Numbers = np.linalg.inv(matrix)[:2].ravel()  # from where a pixel is read
        return inverse

    def apply(view: View, numbers: Tensor) -> View:
        a, b, shift_x, c, d, shift_y = numbers[:, :, None, None].unbind(1)
        return _rounded(
            warped(
                view,
                lambda _, rows, columns: (
                    c * columns + d * rows + shift_y,
                    a * columns + b * rows + shift_x,
                ),
            ),
            bits,
        )

    return Transform(source, draw, np.eye(3)[:2].ravel(), apply)


def _elastic(
    source: ElasticDeformation, sizes: NDArray[np.int64], bits: int, device: torch.device
) -> Transform:
    """Weights of the nodes depend on the size of a side alone: one table holds them for all."""
    grid = source.grid
    known = np.unique(sizes)
    starts = np.zeros(known[-1] + 1, np.int64)
    starts[known] = known.cumsum() - known
    first = torch.from_numpy(starts).to(device)
    table = torch.from_numpy(np.concatenate([cubic_weights(int(size), grid) for size in known]))
    table = table.to(device).double()  # which no number format of a GPU rounds further

    def positions(
        nodes: Tensor, view: View, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        down = table[first[view.heights] + rows].squeeze(2)  # (B, R, grid)
        across = table[first[view.widths] + columns].squeeze(1)  # (B, S, grid)
        field = down[:, None] @ nodes @ across[:, None].mT  # (B, 2, R, S)
        return rows + field[:, 1], columns + field[:, 0]

    def draw(image: NDArray[Any]) -> Numbers:
        nodes: Numbers = source.draw_nodes().astype(np.float32).astype(np.float64)
        return nodes.ravel()

    def apply(view: View, numbers: Tensor) -> View:
        nodes = numbers.reshape(-1, 2, grid, grid)
        return _rounded(warped(view, lambda *at: positions(nodes, *at)), bits)

    return Transform(source, draw, np.zeros(2 * grid * grid), apply)


def _brightness(
    source: A.RandomBrightnessContrast, sizes: NDArray[np.int64], bits: int, device: torch.device
) -> Transform:
    white = 255.0 if bits == 8 else 1.0

    def draw(image: NDArray[Any]) -> Sequence[float]:
        found = source.get_params_dependent_on_data({"shape": image.shape}, {"image": image})
        return [found["alpha"], found["beta"]]

    def apply(view: View, numbers: Tensor) -> View:
        factor, shift = numbers.float()[:, :, None, None, None].unbind(1)

        def change(image: Tensor) -> Tensor:
            changed = (image * factor + shift).clamp(0, white)
            return changed.floor() if bits == 8 else changed  # albumentations rounds down

        return recoloured(view, change)

    return Transform(source, draw, np.array([1.0, 0.0]), apply)


def _rounded(view: View, bits: int) -> View:
    """Round to whole grey values, where the image is of whole ones between two transforms."""
    return recoloured(view, torch.round) if bits == 8 else view


_KINDS: dict[type, Callable[..., Transform]] = {
    A.HorizontalFlip: _flip,
    A.Affine: _affine,
    A.RandomBrightnessContrast: _brightness,
    ElasticDeformation: _elastic,
}
