"""How whole images are predicted: at once or by tiles, upright or from all sides."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bench.data.batches import BatchSettings, pad, to_input
from bench.data.dataset import Image
from bench.errors import UserError
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.precision import Precision, autocast
from unet.tiling import predict_tiled

View = tuple[int, bool]  # quarter turns to the left, of the image or of its mirror image

# The U-Net paper averages "over 7 rotated versions of the input" without naming them. Turning and
# mirroring map the pixels of a square onto each other in eight ways; these are the seven other
# than leaving it as it is. No pixel has to be interpolated.
VIEWS: dict[str, tuple[View, ...]] = {
    "none": ((0, False),),
    "rotations": tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4))[1:],
}


@dataclass(frozen=True)
class Predictor:
    """How whole images are predicted.

    Attributes:
        device: where the model is.
        precision: of the forward pass.
        multiple: height and width are mirrored up to a multiple of this; the prediction is
            cut back.
        tile: the input size of an unpadded network, which predicts by overlapping tiles
            instead; None for a padded one.
        margin: what is cut off each side of a tile.
        views: the image is predicted turned so, and probabilities are averaged; a key of
            ``VIEWS``.
    """

    device: torch.device
    precision: Precision
    multiple: int
    tile: int | None = None
    margin: int = 0
    views: str = "none"

    def logits(self, model: nn.Module, images: list[Image]) -> torch.Tensor:
        """Predict images of one size: list of (H, W, channels) uint8 → (N, C, H, W) logits."""
        if self.views == "none":
            return self._once(model, images)
        views = VIEWS[self.views]
        mean = torch.stack(
            [
                turned_back(self._once(model, [turned(image, view) for image in images]), view)
                .float()
                .log_softmax(1)
                for view in views
            ]
        ).logsumexp(0)
        return mean - math.log(len(views))

    def labels(self, model: nn.Module, images: list[Image]) -> NDArray[np.uint8]:
        """Predict images of one size: list of (H, W, channels) uint8 → (N, H, W) labels."""
        return self.logits(model, images).argmax(1).to("cpu", torch.uint8).numpy()

    def _once(self, model: nn.Module, images: list[Image]) -> torch.Tensor:
        with torch.inference_mode(), autocast(self.device, self.precision):
            return self._whole(model, images) if self.tile is None else self._tiled(model, images)

    def _whole(self, model: nn.Module, images: list[Image]) -> torch.Tensor:
        height, width = images[0].shape[:2]
        padded_height, padded_width = (
            -(-s // self.multiple) * self.multiple for s in (height, width)
        )
        nothing = np.zeros((height, width), np.uint8)
        padded = np.stack([pad(im, nothing, padded_height, padded_width)[0] for im in images])
        logits: torch.Tensor = model(to_input(torch.from_numpy(padded), self.device))
        top, left = (padded_height - height) // 2, (padded_width - width) // 2
        return logits[..., top : top + height, left : left + width]

    def _tiled(self, model: nn.Module, images: list[Image]) -> torch.Tensor:
        inputs = to_input(torch.from_numpy(np.stack(images)), self.device)
        tile, margin = self.tile or 0, self.margin
        tiled = [predict_tiled(model, image, tile=tile, margin=margin) for image in inputs]
        return torch.stack(tiled)


def predictor(
    settings: ModelSettings, crops: BatchSettings, *, device: torch.device, precision: Precision
) -> Predictor:
    """Return how a network predicts that was trained on such crops.

    An unpadded one goes over the image in tiles as large as its crops. Steps from tile to tile are
    a multiple of what its poolings divide by, so that every pixel is predicted from the same place
    in their grid.

    Raises:
        UserError: if crops leave too little of a tile.
    """
    lost, multiple = models.margin(settings), models.size_multiple(settings)
    if not lost:
        return Predictor(device, precision, multiple)
    tile = crops.input_size(lost)
    step = (tile - lost) // multiple * multiple
    if step == 0:
        raise UserError(
            f"train.crop_size: {crops.crop_size} leaves too little of a tile to predict by"
        )
    return Predictor(device, precision, multiple=1, tile=tile, margin=(tile - step) // 2)


def turned(image: Image, view: View) -> Image:
    """Mirror an image (H, W, channels) left to right, if the view says so, then turn it."""
    turns, mirrored = view
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if mirrored else image, turns))


def turned_back(logits: torch.Tensor, view: View) -> torch.Tensor:
    """Bring logits (N, C, H, W) of a turned image back to where its pixels were."""
    turns, mirrored = view
    upright = torch.rot90(logits, -turns, (2, 3))
    return upright.flip(3) if mirrored else upright
