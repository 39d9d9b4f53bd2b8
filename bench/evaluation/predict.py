"""Predict whole images: at once or by tiles, and averaged over rotations if asked for."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.data.batches import BatchSettings, pad
from bench.data.dataset import Image
from bench.data.normalisation import EIGHT_BITS, Normalisation
from bench.errors import UserError
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.precision import Precision, autocast
from unet.tiling import predict_tiled

WHOLE = 1536**2  # pixels of an image that is predicted whole, by those who may choose
STEP, CONTEXT = 1024, 256  # pixels that a tile of a larger one decides, and sees beside them

View = tuple[int, bool]  # quarter turns to the left, of the image or of its mirror image

# The U-Net paper averages "over 7 rotated versions of the input" without naming them. Rotations by
# quarter turns and reflections map a square onto itself in eight ways; these are the seven other
# than the identity. No pixel has to be interpolated.
VIEWS: dict[str, tuple[View, ...]] = {
    "none": ((0, False),),
    "rotations": tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4))[1:],
}


@dataclass(frozen=True)
class Predictor:
    """How whole images are predicted by a model on ``device``.

    Height and width are padded by reflection to a ``multiple``, and the prediction is cropped back.
    An unpadded network predicts by overlapping tiles instead.
    """

    device: torch.device
    precision: Precision
    multiple: int
    tile: int | None = None  # the input size of an unpadded network; None for a padded one
    margin: int = 0  # pixels cropped from each side of a tile's prediction
    normalisation: Normalisation = EIGHT_BITS
    views: str = "none"  # a key of ``VIEWS``: rotations over which probabilities are averaged

    def logits(self, model: nn.Module, images: list[Image]) -> torch.Tensor:
        """Predict images of one size: list of (H, W, channels) → (N, C, H, W) logits."""
        if self.views == "none":
            return self._once(model, images)
        predictions = []
        for view in VIEWS[self.views]:
            logits = self._once(model, [turned(image, view) for image in images])
            predictions.append(turned_back(logits, view).float().log_softmax(1))
        return torch.stack(predictions).logsumexp(0) - math.log(len(predictions))

    def labels(self, model: nn.Module, images: list[Image]) -> NDArray[np.uint8]:
        """Predict images of one size: list of (H, W, channels) → (N, H, W) labels."""
        return self.logits(model, images).argmax(1).to("cpu", torch.uint8).numpy()

    def labels_of_any_size(self, model: nn.Module, image: Image) -> NDArray[np.uint8]:
        """Predict one image (H, W, channels) → (H, W) labels, a large one by overlapping tiles.

        What is kept of a tile has ``CONTEXT`` pixels around it. Labels are those of the image as a
        whole for a network that sees no further, as one of four poolings does.
        """
        height, width = image.shape[:2]
        if height * width <= WHOLE:
            whole: NDArray[np.uint8] = self.labels(model, [image])[0]
            return whole
        unit = self.multiple
        tall, wide, step, context = (
            -(-pixels // unit) * unit for pixels in (height, width, STEP, CONTEXT)
        )
        padded = pad(image, np.zeros((height, width), np.uint8), tall, wide)[0]
        labels = np.empty((tall, wide), np.uint8)
        for row, column in itertools.product(range(0, tall, step), range(0, wide, step)):
            top, left = max(row - context, 0), max(column - context, 0)
            tile = padded[top : row + step + context, left : column + step + context]
            kept = labels[row : row + step, column : column + step]
            found = self.labels(model, [tile])[0][row - top :, column - left :]
            kept[:] = found[: kept.shape[0], : kept.shape[1]]
        top, left = (tall - height) // 2, (wide - width) // 2
        return labels[top : top + height, left : left + width].copy()

    def _once(self, model: nn.Module, images: list[Image]) -> torch.Tensor:
        predict = self._whole if self.tile is None else self._tiled
        with torch.inference_mode(), autocast(self.device, self.precision):
            return predict(model, images)

    def _whole(self, model: nn.Module, images: list[Image]) -> torch.Tensor:
        height, width = images[0].shape[:2]
        tall, wide = (-(-side // self.multiple) * self.multiple for side in (height, width))
        no_mask = np.zeros((height, width), np.uint8)
        padded = np.stack([pad(image, no_mask, tall, wide)[0] for image in images])
        logits: torch.Tensor = model(self._input(padded))
        top, left = (tall - height) // 2, (wide - width) // 2
        return logits[..., top : top + height, left : left + width]

    def _tiled(self, model: nn.Module, images: list[Image]) -> torch.Tensor:
        inputs = self._input(np.stack(images))
        tile, margin = self.tile or 0, self.margin
        tiled = [predict_tiled(model, image, tile=tile, margin=margin) for image in inputs]
        return torch.stack(tiled)

    def _input(self, images: Image) -> torch.Tensor:
        return self.normalisation(torch.from_numpy(images), self.device)


def predictor(
    settings: ModelSettings,
    crops: BatchSettings,
    *,
    device: torch.device,
    precision: Precision,
    normalisation: Normalisation = EIGHT_BITS,
) -> Predictor:
    """Return how a network predicts that was trained on such crops.

    An unpadded one predicts tiles as large as its crops. The stride between tiles is a multiple of
    the network's downsampling factor, so that every tile starts at the same phase of its poolings.
    UserError if crops leave too little of a tile.
    """
    architecture = models.architecture(settings)
    margin, multiple = architecture.margin, architecture.size_multiple
    if not margin:
        return Predictor(device, precision, multiple, normalisation=normalisation)
    tile = crops.input_size(margin)
    stride = (tile - margin) // multiple * multiple
    if stride == 0:
        size = crops.crop_size
        raise UserError(f"train.crop_size: {size} is too small to predict by tiles; enlarge it")
    margin = (tile - stride) // 2
    return Predictor(device, precision, 1, tile, margin, normalisation)


def turned(image: Image, view: View) -> Image:
    """Mirror an image (H, W, channels) left to right, if the view asks for it, then rotate it."""
    turns, mirrored = view
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if mirrored else image, turns))


def turned_back(logits: torch.Tensor, view: View) -> torch.Tensor:
    """Undo `turned` for logits (N, C, H, W)."""
    turns, mirrored = view
    upright = torch.rot90(logits, -turns, (2, 3))
    return upright.flip(3) if mirrored else upright
