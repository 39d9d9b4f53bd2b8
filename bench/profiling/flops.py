"""FLOPs of a training step, and of predicting an image.

They are counted from shapes alone, so that arms can be compared whatever they ran on. Convolutions
and matrix products count, a multiplication and an addition as two operations; everything else in a
segmentation network is a few percent of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch

from bench.components.names import find
from bench.data.dataset import Dataset
from bench.evaluation.predict import Predictor
from bench.profiling import roofline
from bench.profiling.roofline import Cost
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.precision import Precision
from bench.training.step import TrainSettings


class Uncounted(Exception):
    """A user's network cannot be followed without data, so that its operations are not known."""


def costs(
    settings: ModelSettings,
    dataset: Dataset,
    *,
    batch_size: int,
    side: int,
    precision: Precision,
    train: bool,
    moments: int | None = None,
) -> list[Cost]:
    """List the costs of a pass over a batch of square images; see ``roofline.costs``.

    Uncounted if a network of the user's own needs the values of its input.
    """
    channels = dataset.in_channels
    untrained = settings.model_copy(update={"encoder_weights": None})  # no download for shapes
    # Some networks compute with their weights while they are built, which meta tensors cannot.
    built = models.build(untrained, channels, len(dataset.classes))
    try:
        network = built.to("meta")
        images = torch.empty(batch_size, channels, side, side, device="meta")
        return roofline.costs(network, images, precision=precision, train=train, moments=moments)
    except Exception as error:  # whatever a network does that meta tensors cannot
        if find("network", settings.name).is_ours:
            raise
        raise Uncounted from error


def of(
    settings: ModelSettings,
    recipe: TrainSettings,
    dataset: Dataset,
    predictor: Predictor,
    *,
    batch_size: int,
) -> dict[str, float]:
    """Count the FLOPs of a training step, and of a prediction by tiles as large as its crops.

    ``batch_size`` is that of a step: less than the recipe's where there are fewer images.

    Returns:
        ``step_gflops`` and ``step_pixels``: 10⁹ operations of a step, forward and backward, and
        the pixels that enter its loss; ``gflops_per_megapixel``: 10⁹ operations of predicting a
        million pixels once, with the context that is cropped off; for a network that was applied
        to a window at a time, ``window_gflops_per_megapixel``: what that took. Only the pixels
        of a network that is Uncounted.
    """
    architecture = models.architecture(settings)
    margin = architecture.margin
    side = recipe.input_size(margin)
    kept = side if predictor.tile is None else predictor.tile - 2 * predictor.margin
    count = partial(costs, settings, dataset, side=side, precision=recipe.precision)
    pixels = batch_size * (side - margin) ** 2
    try:
        step = count(batch_size=batch_size, train=True)
        tile = count(batch_size=1, train=False)
    except Uncounted:
        return {"step_pixels": pixels}
    counts = {
        "step_gflops": _gigaflops(step),
        "step_pixels": pixels,
        "gflops_per_megapixel": _gigaflops(tile) / kept**2 * 1e6,
    }
    if architecture.window is not None:
        network = architecture.window(dataset.in_channels, len(dataset.classes)).to("meta")
        image = torch.empty(1, dataset.in_channels, network.window, network.window, device="meta")
        pixel = roofline.costs(network, image, precision=recipe.precision, train=False)
        counts["window_gflops_per_megapixel"] = 1e6 * _gigaflops(pixel)
    return counts


def _gigaflops(found: Iterable[Cost]) -> float:
    return sum(cost.flops for cost in found) / 1e9
