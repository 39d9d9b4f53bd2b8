"""A model and a split → counts and sums for each image, and label maps to look at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from bench.batches import Batches, pad, to_input
from bench.datasets import IGNORE_INDEX, Image, Mask, Split
from bench.evidence import Evidence
from bench.precision import Precision, autocast
from bench.settings import Settings
from unet.metrics import confusion_matrix, soft_iou
from unet.overlap import class_sums
from unet.tiling import predict_tiled

TOGETHER = 8  # images of one size that are predicted in one batch


class EvaluateSettings(Settings):
    """On what a trial is evaluated, how often, and which weights are kept."""

    split: Literal["val", "test", "train"] = "val"
    every: int = Field(1, ge=1, description="epochs from one evaluation to the next")
    keep: Literal["last", "best"] = Field(
        "last",
        description="final weights: of the last epoch, or of the best mean IoU on validation",
    )
    panels: int = Field(4, ge=0, description="images whose predictions are kept as pictures")
    extremes: int = Field(
        2, ge=0, description="of the worst and of the best images, how many are kept as well"
    )
    tta: Literal["none", "rotations"] = Field(
        "none", description="average the final predictions over turned and mirrored inputs"
    )
    study: bool = Field(
        False, description="also score random crops as the study that this began with did"
    )
    checkpoint: bool = Field(False, description="keep the final weights, as safetensors")


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


def turned(image: Image, view: View) -> Image:
    """Mirror an image (H, W, channels) left to right, if the view says so, then turn it."""
    turns, mirrored = view
    return np.ascontiguousarray(np.rot90(image[:, ::-1] if mirrored else image, turns))


def turned_back(logits: torch.Tensor, view: View) -> torch.Tensor:
    """Bring logits (N, C, H, W) of a turned image back to where its pixels were."""
    turns, mirrored = view
    upright = torch.rot90(logits, -turns, (2, 3))
    return upright.flip(3) if mirrored else upright


def evaluate(
    model: nn.Module,
    split: Split,
    predictor: Predictor,
    num_classes: int,
    *,
    look: Callable[[str, Mask, Mask], None] = lambda name, prediction, truth: None,
) -> Evidence:
    """Predict every image of a split whole; count labels and sum up probabilities.

    The model is in evaluation mode afterwards. Images of one size are predicted together; what
    comes back is in the order of ``split.names``.

    Args:
        model: what predicts.
        split: its images.
        predictor: how.
        num_classes: C.
        look: is shown each image's name, its (H, W) predicted labels and its true ones.
    """
    model.eval()
    found: dict[str, tuple[torch.Tensor, ...]] = {}
    for names, images, masks in _by_size(split):
        logits = predictor.logits(model, images)
        target = torch.from_numpy(np.stack(masks)).to(logits.device).long()
        sums = class_sums(logits, target, ignore_index=IGNORE_INDEX)
        labels = logits.argmax(1)
        for name, predicted, truth, hits, mass in zip(
            names, labels, target, sums.hits, sums.mass, strict=True
        ):
            matrix = confusion_matrix(predicted, truth, num_classes, ignore_index=IGNORE_INDEX)
            found[name] = matrix, hits, mass
        for name, seen, mask in zip(names, labels.to("cpu", torch.uint8), masks, strict=True):
            look(name, seen.numpy(), mask)
    columns = zip(*(found[name] for name in split.names), strict=True)
    matrices, hits, mass = (torch.stack(column).cpu().numpy() for column in columns)
    truth = matrices.sum(2).astype(np.float64)
    return Evidence(split.names, matrices, hits.astype(np.float64), mass.astype(np.float64), truth)


def study_scores(model: nn.Module, crops: Batches, predictor: Predictor) -> dict[str, float]:
    """Score random crops by the study's soft IoU, batch by batch.

    The score of a class in a batch is (I + s) / (P + T - I + s) with I, P and T sums of
    probabilities and s = 1e-5; the mean is over all classes and batches. A class that the batch
    does not hold scores s / (P + s): 1 for nothing, if the network gives it no probability.

    Returns:
        ``study_iou``, and ``study_iou_absent``: the part of it that comes from classes which
        the batch does not hold.
    """
    model.eval()
    scores, absent = [], []
    for images, labels, *_ in crops.epoch(1):  # always the same crops, so that epochs compare
        with torch.inference_mode(), autocast(predictor.device, predictor.precision):
            logits = model(to_input(images, predictor.device))
        target = labels.to(predictor.device).long()
        score = soft_iou(logits, crop_to(target, logits)).double().cpu()
        present = torch.zeros(score.numel(), dtype=torch.bool)
        present[labels[labels != IGNORE_INDEX].long()] = True
        scores.append(float(score.mean()))
        absent.append(float(score[~present].sum()) / score.numel())
    return {"study_iou": fmean(scores), "study_iou_absent": fmean(absent)}


def crop_to(targets: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Cut (N, H, W) targets to the middle that an unpadded network predicts."""
    height, width = logits.shape[-2:]
    top = (targets.shape[-2] - height) // 2
    left = (targets.shape[-1] - width) // 2
    return targets[:, top : top + height, left : left + width]


def panel_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Choose images to show: evenly spaced over the split, the same for every trial."""
    count = min(count, len(names))
    return tuple(names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count))


def _by_size(split: Split) -> Iterator[tuple[list[str], list[Image], list[Mask]]]:
    """Yield (names, images, masks) of up to ``TOGETHER`` images of one size."""
    waiting: dict[tuple[int, ...], tuple[list[str], list[Image], list[Mask]]] = {}
    for name in split.names:
        image, mask = split.read(name)
        group = waiting.setdefault(image.shape, ([], [], []))
        for column, value in zip(group, (name, image, mask), strict=True):
            column.append(value)  # type: ignore[attr-defined]
        if len(group[0]) == TOGETHER:
            yield waiting.pop(image.shape)
    yield from waiting.values()
