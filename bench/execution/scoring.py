"""Score a network on whole images: one that was trained just now, or one that is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from bench.data import pictures
from bench.data.dataset import Dataset
from bench.data.normalisation import EIGHT_BITS
from bench.errors import UserError
from bench.evaluation import own_metrics, samples
from bench.evaluation.boundary import PerImageScores
from bench.evaluation.counts import ImageCounts, confusion_json, soft_json
from bench.evaluation.evaluate import EvaluateSettings, evaluate
from bench.evaluation.predict import Predictor, predictor
from bench.evaluation.samples import Put
from bench.experiment.context import Measured, RunContext
from bench.experiment.trial import TrialSettings
from bench.settings import validate
from bench.store import load_model
from bench.store.folder import Store
from bench.store.load_model import Trained
from bench.store.records import Record
from bench.store.results import AccuracyResult
from bench.training.convolutions import tried_by_cudnn
from bench.training.precision import float32_as
from unet import metrics


@dataclass(frozen=True)
class Scored:
    """What scoring a network gives to the result of a trial, and to its details."""

    images: int
    result: dict[str, Any]
    details: dict[str, Any]


def score(
    model: nn.Module, dataset: Dataset, upright: Predictor, wanted: EvaluateSettings, put: Put
) -> Scored:
    """Score a model on a split, and store the pictures that are wanted.

    ``upright`` predicts whole images without turning them.
    """
    evaluated, classes = dataset.splits[wanted.split], len(dataset.classes)
    views = replace(upright, views=wanted.tta)
    per_image = PerImageScores(classes, own_metrics.scores(dataset, wanted.metrics))
    counts = evaluate(model, evaluated, views, classes, on_image=per_image.add)
    chosen = samples.choose(counts, wanted)
    result = {
        "classes": dataset.classes,
        "palette": tuple((r, g, b) for r, g, b in dataset.palette.tolist()),
        "split": wanted.split,
        "metrics": {**scores(counts), **per_image.metrics()},
        "pictures": pictures.about(dataset.in_channels, dataset.bits) or None,
        "examples": tuple(
            samples.keep(
                chosen,
                model,
                evaluated,
                views,
                put,
                predictions_only=wanted.pictures == "predictions",
            )
        ),
        "note": dataset.note or None,
    }
    details = {
        "confusion": confusion_json(counts),
        "soft": soft_json(counts),
        "per_image": per_image.json(),
    }
    return Scored(len(counts.names), result, details)


def measure(settings: TrialSettings, seed: int, context: RunContext) -> Measured:
    """Score the stored weights of the context's training instead of training a network.

    What is known of the training comes from its record, the rest is measured.

    Raises:
        UserError: if a file is damaged, the weights do not fit the network, or the dataset has
            other classes than the network, or lacks the split.
    """
    training = context.training
    if training is None:
        raise ValueError("there is no stored training")
    torch.set_num_threads(settings.train.threads)
    record = training.record()
    before, found = record.accuracy, load_model.of_record(training.store, record)
    if before is None:
        raise ValueError(f"{record.key} trained nothing")
    dataset = settings.dataset(context.root, seed)
    check_fits(dataset, settings.evaluate.split, before)
    recipe = settings.train
    with float32_as(recipe.precision), tried_by_cudnn(recipe.cudnn_benchmark):
        model, upright = on_device(found, settings, context.device)
        scored = score(model, dataset, upright, settings.evaluate, context.put)
    result = {
        **dict(before),
        **scored.result,
        "counts": {**before.counts, "evaluated_images": scored.images},
        "trained": before.trained or record.key,
        "checkpoint": before.checkpoint if training.shared else None,
    }
    kept = training.details().model_dump(mode="json", exclude_unset=True)
    known: dict[str, Any] = {n: kept[n] for n in ("history", "train_pixels") if n in kept}
    return Measured(AccuracyResult(**result), {**known, **scored.details})


def on_device(
    trained: Trained, settings: TrialSettings, device: torch.device
) -> tuple[nn.Module, Predictor]:
    """Return the network of a trial on a device, and how it predicts whole images there."""
    model, recipe = trained.network.to(device), settings.train
    if recipe.channels_last:
        model = model.to(memory_format=torch.channels_last)
    upright = predictor(
        settings.model,
        recipe,
        device=device,
        precision=recipe.precision,
        normalisation=trained.normalisation or EIGHT_BITS,
    )
    return model, upright


def settings_of(store: Store, record: Record, evaluate: Mapping[str, Any]) -> TrialSettings:
    """Return the settings of a stored trial, but for some of those of ``evaluate``.

    UserError if this code does not know them.
    """
    plan = store.read_plan()
    folder = store.folder / plan.folder if plan and plan.folder else None
    values = {**record.settings, "evaluate": {**record.settings.get("evaluate", {}), **evaluate}}
    source = f"{store.record_file(record.key)}: of another version of this code"
    return validate(TrialSettings, values, source=source, folder=folder)


def check_fits(dataset: Dataset, split: str, trained: AccuracyResult) -> None:
    """Raise UserError if a network cannot be scored on a split of a dataset."""
    if split not in dataset.splits:
        there = ", ".join(dataset.splits)
        raise UserError(f"data: {dataset.name} has no {split} split here; it has {there}")
    if dataset.classes != trained.classes:
        raise UserError(
            f"data: {dataset.name} has the classes {', '.join(dataset.classes)}; the network was "
            f"trained for {', '.join(trained.classes)}"
        )


def scores(counts: ImageCounts) -> dict[str, Any]:
    """Return every score of the whole split's confusion matrix, as JSON (undefined: None)."""
    matrix = torch.from_numpy(counts.matrices.sum(axis=0))
    return {
        **{name: _number(score(matrix)) for name, score in metrics.SCORES.items()},
        "classes_averaged": int(metrics.classes_averaged(matrix)),
        "classes_in_truth": int((matrix.sum(1) > 0).sum()),
        **{
            name: [_number(value) for value in score(matrix)]
            for name, score in metrics.CLASS_SCORES.items()
        },
    }


def _number(value: torch.Tensor | float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
