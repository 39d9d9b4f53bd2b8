"""Border weights of training images: U-Net's weight map of each label image, computed once.

Trials in one process share the maps: they are cached in memory by the content of the label image.
They are not stored: they are large, and computed in 0.1 s for 105 cells in 512×512 pixels.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.dataset import IGNORE_INDEX, Dataset
from bench.errors import UserError, nearest
from bench.settings import Settings
from unet.boundary import balanced_weights, border_weight_map
from unet.segments import components

Weights = dict[str, NDArray[np.float32]]  # name of an image → (H, W)


class BorderSettings(Settings):
    """The weight of pixels between two cells (arXiv:1505.04597, equation 2)."""

    w0: float = Field(10.0, ge=0, description="weight added where two cells touch")
    sigma: float = Field(5.0, gt=0, le=1000, description="width of borders, pixels")
    balance: bool = Field(True, description="let cells and the rest weigh equally in all")
    cells: str = Field("cell", description="the class whose connected regions are the cells")


def weight_maps(dataset: Dataset, settings: BorderSettings) -> Weights:
    """Return the weight of every pixel of every training image; raises as ``check``.

    Cells are the 4-connected regions of one class. All other pixels can be border between two
    cells; void is among them, but no loss counts it. Classes are balanced over the pixels of the
    training set that are not void.
    """
    check(dataset, settings)
    label, split = dataset.classes.index(settings.cells), dataset.splits["train"]
    masks = {name: split.read(name)[1] for name in split.names}
    inside, outside = 1.0, 1.0
    if settings.balance:
        cells = ((mask == label)[mask != IGNORE_INDEX] for mask in masks.values())
        outside, inside = balanced_weights(counted.astype(np.uint8) for counted in cells)
    return {
        name: _border(np.packbits(mask == label).tobytes(), mask.shape, settings.w0, settings.sigma)
        + np.where(mask == label, inside, outside).astype(np.float32)
        for name, mask in masks.items()
    }


def check(dataset: Dataset, settings: BorderSettings) -> None:
    """Raise UserError if the dataset does not have the class."""
    if settings.cells not in dataset.classes:
        unknown = f"{settings.cells!r}{nearest(settings.cells, dataset.classes)}"
        raise UserError(f"train.border_weights.cells: {dataset.name} has no class {unknown}")


@functools.lru_cache(maxsize=128)
def _border(content: bytes, shape: tuple[int, ...], w0: float, sigma: float) -> NDArray[np.float32]:
    """Return the border term of the weights, given the packed bits of a mask of cells."""
    bits = np.unpackbits(np.frombuffer(content, np.uint8), count=int(np.prod(shape)))
    cells = components(bits.reshape(shape).astype(np.bool_))
    border = border_weight_map(cells, w0=w0, sigma=sigma, class_weights=(0.0, 0.0))
    border.flags.writeable = False  # every caller gets the same array
    return border
