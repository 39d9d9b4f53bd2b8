"""What a network computes: operations of a training step, and of predicting a pixel.

Counted from shapes alone, so that arms can be compared whatever they ran on. Convolutions and
products of matrices count, a multiplication and an addition as two operations; everything else in a
segmentation network is a few percent of that.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch

from bench.data.dataset import Dataset
from bench.evaluation.predict import Predictor
from bench.profiling import roofline
from bench.profiling.roofline import Cost
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.precision import Precision
from bench.training.step import TrainSettings


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
    """List what a pass over a batch of square images costs; see ``roofline.costs``."""
    channels = dataset.in_channels
    plain = settings.model_copy(update={"encoder_weights": None})  # which need not be fetched again
    # Some networks compute with their weights while they are built, which meta tensors cannot.
    network = models.build(plain, channels, len(dataset.classes)).to("meta")
    images = torch.empty(batch_size, channels, side, side, device="meta")
    return roofline.costs(network, images, precision=precision, train=train, moments=moments)


def of(
    settings: ModelSettings,
    recipe: TrainSettings,
    dataset: Dataset,
    predictor: Predictor,
    *,
    batch_size: int,
) -> dict[str, float]:
    """Count what a training step takes, and a prediction in pieces as large as training crops.

    Args:
        settings: of the network.
        recipe: of its training.
        dataset: whose channels and classes count.
        predictor: of whole images.
        batch_size: of a step; less than the recipe's where there are fewer images.

    Returns:
        ``step_gflops`` and ``step_pixels``: operations of a step, forward and backward, and pixels
        whose prediction it scores; ``gflops_per_megapixel``: operations of predicting a million
        pixels once, those included that are needed as context and dropped; for a network that was
        moved over every pixel ``window_gflops_per_megapixel``, what that took.
    """
    lost = models.margin(settings)
    side = recipe.input_size(lost)
    kept = side if predictor.tile is None else predictor.tile - 2 * predictor.margin
    count = partial(costs, settings, dataset, side=side, precision=recipe.precision)
    step = count(batch_size=batch_size, train=True)
    piece = count(batch_size=1, train=False)
    counts = {
        "step_gflops": _gigaflops(step),
        "step_pixels": batch_size * (side - lost) ** 2,
        "gflops_per_megapixel": _gigaflops(piece) / kept**2 * 1e6,
    }
    window = _window(settings, dataset, recipe.precision)
    return counts | ({} if window is None else {"window_gflops_per_megapixel": 1e6 * window})


def _window(settings: ModelSettings, dataset: Dataset, precision: Precision) -> float | None:
    """Count 10⁹ operations for the one pixel that a window decides, if there is a window."""
    channels = dataset.in_channels
    moved = models.window(settings, channels, len(dataset.classes))
    if moved is None:
        return None
    one = torch.empty(1, channels, moved.window, moved.window, device="meta")
    return _gigaflops(roofline.costs(moved.to("meta"), one, precision=precision, train=False))


def _gigaflops(found: Iterable[Cost]) -> float:
    return sum(cost.flops for cost in found) / 1e9
