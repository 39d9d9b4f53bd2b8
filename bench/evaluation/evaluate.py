"""Evaluate a model on a split: counts for each image, and the score of the original study."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import fmean
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import nn

from bench.components import options as component_options
from bench.components.names import ComponentName
from bench.data.batches import Batches, crop_to
from bench.data.dataset import IGNORE_INDEX, Image, Mask, Split
from bench.evaluation.counts import ImageCounts
from bench.evaluation.predict import Predictor
from bench.settings import Settings
from bench.training.precision import autocast
from unet.metrics import confusion_matrix, soft_iou
from unet.overlap import class_sums

GIVEN = ("prediction", "truth")  # arguments of a user's metric that are not options
TOGETHER = 8  # images of one size that are predicted in one batch
SMALL = 32_000_000  # bytes of weights that are kept unless a file says otherwise


class EvaluateSettings(Settings):
    """On what a trial is evaluated, how often, and which weights are kept."""

    split: Literal["val", "test", "train", "tune"] = Field(
        "val", description="tune: a fifth of the training images, which are not trained on then"
    )
    every: int = Field(1, ge=1, description="epochs from one evaluation to the next")
    keep: Literal["last", "best"] = Field(
        "last",
        description="final weights: of the last epoch, or of the best mean IoU on validation",
    )
    panels: int = Field(4, ge=0, description="images whose predictions are kept as pictures")
    extremes: int = Field(
        2, ge=0, description="of the worst and of the best images, how many are kept as well"
    )
    pictures: Literal["all", "predictions"] = Field(
        "all",
        description="predictions: keep neither these images nor their truth, which may not be "
        "anybody's to publish",
    )
    tta: Literal["none", "rotations"] = Field(
        "none", description="average the final predictions over turned and mirrored inputs"
    )
    study: bool = Field(False, description="also score random crops by the original study's metric")
    checkpoint: Literal["auto"] | bool = Field(
        "auto", description="keep the final weights, as safetensors; auto: if at most 32 MB"
    )
    metrics: dict[ComponentName, dict[str, Any]] = Field(
        {}, description="metrics of your own: package.module:name → its options"
    )

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, options in metrics.items():
            component_options.check("metric", name, options, GIVEN)
        return metrics

    def effective(self, *, stops: bool = False) -> dict[str, Any]:
        """Return the settings that decide weights or scores, as JSON.

        What is kept decides neither; nor does how often a training is watched by which no epoch is
        chosen, unless what is seen then ``stops`` it.
        """
        shown = {"panels", "extremes", "pictures", "checkpoint"}
        if self.keep != "best" and not stops:
            shown.add("every")
        return self.model_dump(mode="json", exclude=shown)

    def keeps(self, size: int) -> bool:
        """Tell whether weights of a size in bytes are kept."""
        return size <= SMALL if self.checkpoint == "auto" else self.checkpoint


def evaluate(
    model: nn.Module,
    split: Split,
    predictor: Predictor,
    num_classes: int,
    *,
    on_image: Callable[[str, Mask, Mask], None] = lambda name, prediction, truth: None,
) -> ImageCounts:
    """Predict every whole image of a split; count labels and sum up probabilities.

    The model is in evaluation mode afterwards. Images of one size are predicted together; the
    counts are in the order of ``split.names``. ``on_image`` is called with each image's name, its
    (H, W) predicted labels and its true ones.
    """
    model.eval()
    found: dict[str, tuple[torch.Tensor, ...]] = {}
    for group in _by_size(split):
        names, images, masks = map(list, zip(*group, strict=True))
        logits = predictor.logits(model, images)
        target = torch.from_numpy(np.stack(masks)).to(logits.device).long()
        sums = class_sums(logits, target, ignore_index=IGNORE_INDEX)
        labels = logits.argmax(1)
        for name, prediction, truth, *soft in zip(
            names, labels, target, sums.intersection, sums.predicted, strict=True
        ):
            matrix = confusion_matrix(prediction, truth, num_classes, ignore_index=IGNORE_INDEX)
            found[name] = matrix, *soft
        for name, seen, mask in zip(names, labels.to("cpu", torch.uint8), masks, strict=True):
            on_image(name, seen.numpy(), mask)
    columns = zip(*(found[name] for name in split.names), strict=True)
    matrices, intersection, predicted = (torch.stack(column).cpu() for column in columns)
    sums_of_images = intersection.double().numpy(), predicted.double().numpy()
    return ImageCounts(split.names, matrices.numpy(), *sums_of_images)


def study_scores(model: nn.Module, crops: Batches, predictor: Predictor) -> dict[str, float]:
    """Score random crops by the original study's soft IoU, batch by batch.

    The score of a class in a batch is (I + s) / (P + T - I + s) with I, P and T sums of
    probabilities and s = 1e-5; the mean is over all classes and batches. A class that is absent
    from the batch scores s / (P + s), which is 1 if the network gives it no probability.

    Returns:
        ``study_iou``, and ``study_iou_absent``: the part of it that comes from classes that are
        absent from the batch.
    """
    model.eval()
    scores, absent = [], []
    for images, labels, *_ in crops.epoch(1):  # always the same crops, so that epochs compare
        with torch.inference_mode(), autocast(predictor.device, predictor.precision):
            logits = model(predictor.normalisation(images, predictor.device))
        target = labels.to(predictor.device).long()
        score = soft_iou(logits, crop_to(target, logits)).cpu().double()  # MPS has no float64
        present = torch.zeros(score.numel(), dtype=torch.bool)
        present[labels[labels != IGNORE_INDEX].long()] = True
        scores.append(float(score.mean()))
        absent.append(float(score[~present].sum()) / score.numel())
    return {"study_iou": fmean(scores), "study_iou_absent": fmean(absent)}


def _by_size(split: Split) -> Iterator[list[tuple[str, Image, Mask]]]:
    """Yield name, image and mask of up to ``TOGETHER`` images of one size."""
    waiting: dict[tuple[int, ...], list[tuple[str, Image, Mask]]] = {}
    for name in split.names:
        image, mask = split.read(name)
        group = waiting.setdefault(image.shape, [])
        group.append((name, image, mask))
        if len(group) == TOGETHER:
            yield waiting.pop(image.shape)
    yield from waiting.values()
