"""Border weights of training images: U-Net's weight map for each label image, computed once.

Maps are kept in memory, by the content of the label image: trials of one process share them. They
are not kept on disk, since they are quickly made (0.1 s for a slice of ISBI-2012, 105 cells in
512×512 pixels) and large.
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
    """How much a pixel between two cells counts (arXiv:1505.04597, equation 2)."""

    w0: float = Field(10.0, ge=0, description="weight added where two cells touch")
    sigma: float = Field(5.0, gt=0, le=1000, description="width of borders, pixels")
    balance: bool = Field(True, description="let cells and the rest weigh equally in all")
    cells: str = Field("cell", description="the class whose connected regions are the cells")


def weight_maps(dataset: Dataset, settings: BorderSettings) -> Weights:
    """Return the weight of every pixel of every training image.

    Cells are the 4-connected regions of one class. Whatever is no cell can be border between two,
    void too, which no loss looks at. Classes are balanced over the pixels of the training set
    that are not void.

    Raises:
        UserError: if the dataset has no class of that name.
    """
    check(dataset, settings)
    label, split = dataset.classes.index(settings.cells), dataset.splits["train"]
    masks = {name: split.read(name)[1] for name in split.names}
    inside, outside = 1.0, 1.0
    if settings.balance:
        cells = ((mask == label)[mask != IGNORE_INDEX] for mask in masks.values())
        outside, inside = balanced_weights(counted.astype(np.uint8) for counted in cells)
    return {
        name: _border(_bytes(mask == label), mask.shape, settings.w0, settings.sigma)
        + np.where(mask == label, inside, outside).astype(np.float32)
        for name, mask in masks.items()
    }


def check(dataset: Dataset, settings: BorderSettings) -> None:
    """Look whether the dataset has the class.

    Raises:
        UserError: if it has not.
    """
    if settings.cells not in dataset.classes:
        hint = nearest(settings.cells, dataset.classes)
        raise UserError(
            f"train.border_weights.cells: {dataset.name} has no class {settings.cells!r}{hint}"
        )


def _bytes(cells: NDArray[np.bool_]) -> bytes:
    return np.packbits(cells).tobytes()


@functools.lru_cache(maxsize=128)
def _border(content: bytes, shape: tuple[int, ...], w0: float, sigma: float) -> NDArray[np.float32]:
    """Return what borders add to the weights of classes, for the packed bits of a mask of cells."""
    bits = np.unpackbits(np.frombuffer(content, np.uint8), count=int(np.prod(shape)))
    cells = components(bits.reshape(shape).astype(np.bool_))
    border = border_weight_map(cells, w0=w0, sigma=sigma, class_weights=(0.0, 0.0))
    border.flags.writeable = False  # every caller gets the same array
    return border
