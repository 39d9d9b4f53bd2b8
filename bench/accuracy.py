"""Measure a trial by training it: seed and settings → scores, confusion matrices, pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import safetensors.torch
import torch
from torch import nn

from bench import borders, datasets, losses, models
from bench.batches import Batches, BatchSettings
from bench.datasets import Dataset, Split, class_pixels
from bench.errors import UserError
from bench.evaluate import EvaluateSettings, Predictor, evaluate, panel_names, study_scores
from bench.evidence import Evidence, confusion_json, soft_json
from bench.precision import float32_as
from bench.resume import Keeper
from bench.shapes import Shapes
from bench.train import EpochRow, train
from bench.trial import Measurement, TrialSettings
from unet import metrics

Put = Callable[[bytes, str], str]  # (content, suffix) -> the name under which it is stored


def measure(
    settings: TrialSettings,
    seed: int,
    *,
    root: Path,
    device: torch.device,
    workers: int,
    put: Put,
    on_epoch: Callable[[EpochRow], None] = lambda row: None,
    keeper: Keeper | None = None,
) -> Measurement:
    """Train and evaluate one network.

    Args:
        settings: of the trial.
        seed: decides initialisation, order and augmentation together.
        root: the folder that holds the datasets.
        device: where to compute.
        workers: loader processes; they change the time, not the result.
        put: stores a picture and returns its name.
        on_epoch: called with each row of the history when it is made.
        keeper: brings back and keeps the state of an unfinished training.

    Returns:
        Scores of ``settings.evaluate.split`` and what they were computed from.

    Raises:
        UserError: if the data or an option is not there.
        Diverged: if the loss is no number any more.
    """
    dataset = datasets.load(settings.data.for_seed(seed), root)
    training, evaluated = _split(dataset, "train"), _split(dataset, settings.evaluate.split)
    watched = _watched(settings)
    train_pixels = class_pixels(training, len(dataset.classes)).sum(0)
    if not train_pixels.any():
        raise UserError(f"data: every pixel of {dataset.name}'s training masks is void")
    torch.set_num_threads(settings.train.threads)
    model = _network(settings, dataset, seed, device)
    margin = models.margin(settings.model)
    batches = Batches(
        training,
        settings.train,
        seed=seed,
        workers=workers,
        margin=margin,
        weights=_weights(settings, dataset),
    )
    quick = _predictor(settings, device)
    predictor = replace(quick, views=settings.evaluate.tta)
    num_classes = len(dataset.classes)
    crops = _plain(settings)

    def watch(model: nn.Module) -> dict[str, Any]:
        split = _split(dataset, watched)
        found = _epoch_scores(evaluate(model, split, quick, num_classes))
        if settings.evaluate.study:
            watched_crops = Batches(split, crops, seed=seed, workers=0, margin=margin)
            found |= study_scores(model, watched_crops, quick)
        return found

    with float32_as(settings.train.precision):
        trained = train(
            model,
            batches,
            settings.train,
            device=device,
            evaluate=watch,
            evaluate_every=settings.evaluate.every,
            keep=settings.evaluate.keep,
            on_epoch=on_epoch,
            keeper=keeper,
        )
        shapes = Shapes(num_classes, dataset.scores)
        evidence = evaluate(model, evaluated, predictor, num_classes, look=shapes.look)
        shown = _shown(evidence, settings.evaluate)
        panels = _panels(model, evaluated, predictor, shown, put)

    result = {
        "classes": list(dataset.classes),
        "palette": dataset.palette.tolist(),
        "split": settings.evaluate.split,
        "watched_split": watched,
        "chosen_epoch": trained.epoch,
        "metrics": {**scores(evidence), **shapes.metrics()},
        "counts": _counts(settings, batches, evidence, model),
        "training_seconds": trained.seconds,
        "panels": panels,
        "checkpoint": _checkpoint(model, put) if settings.evaluate.checkpoint else None,
    }
    details = {
        "history": trained.history,
        "confusion": confusion_json(evidence),
        "soft": soft_json(evidence),
        "shapes": shapes.json(),
        "train_pixels": train_pixels.tolist(),
    }
    if dataset.note:
        result["note"] = dataset.note
    return Measurement(result, details)


def _network(
    settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device
) -> nn.Module:
    """Build the trial's network on its device; the seed decides its initial weights."""
    torch.manual_seed(seed)
    model = models.build(settings.model, dataset.in_channels, len(dataset.classes)).to(device)
    return model.to(memory_format=torch.channels_last) if settings.train.channels_last else model


def _weights(settings: TrialSettings, dataset: Dataset) -> borders.Weights | None:
    """Return the weights of training pixels, if the loss takes any."""
    if not losses.takes_weights(settings.train.loss):
        return None
    return borders.weight_maps(dataset, settings.train.border_weights)


def scores(evidence: Evidence) -> dict[str, Any]:
    """Return every score of the whole split's confusion matrix, as JSON (undefined: None)."""
    matrix = torch.from_numpy(evidence.matrices.sum(axis=0))
    means = {name: _number(score(matrix)) for name, score in metrics.SCORES.items()}
    by_class = {
        name: [_number(value) for value in score(matrix)]
        for name, score in metrics.CLASS_SCORES.items()
    }
    averaged = {
        "classes_averaged": int(metrics.classes_averaged(matrix)),
        "classes_in_truth": int((matrix.sum(1) > 0).sum()),
    }
    return {**means, **averaged, **by_class}


def _epoch_scores(evidence: Evidence) -> dict[str, Any]:
    means = ("mean_iou", "classes_averaged", "pixel_accuracy", "mean_class_accuracy")
    everything = scores(evidence)
    return {name: everything[name] for name in means}


def _number(value: torch.Tensor | float) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def _split(dataset: Dataset, name: str) -> Split:
    if name not in dataset.splits:
        raise UserError(
            f"data: {dataset.name} has no {name} split here; it has {', '.join(dataset.splits)}"
        )
    return dataset.splits[name]


def _watched(settings: TrialSettings) -> str:
    """Name the split that is scored during training: never the test images."""
    choosing = settings.evaluate.split == "test" or settings.evaluate.keep == "best"
    return "val" if choosing else settings.evaluate.split


def _plain(settings: TrialSettings) -> BatchSettings:
    """Return how crops are cut for the study's score: as for training, not augmented."""
    cut = {"crop_size", "crop_of", "batch_size", "small_images"}
    shared = settings.train.model_dump(include=cut)
    return BatchSettings(**shared)


def _predictor(settings: TrialSettings, device: torch.device) -> Predictor:
    model, precision = settings.model, settings.train.precision
    lost = models.margin(model)
    if not lost:
        return Predictor(device, precision, models.size_multiple(model))
    # Tiles as large as training crops. Steps from tile to tile are a multiple of what the
    # poolings divide by, so that every pixel is predicted from the same place in the grid.
    tile, multiple = settings.input_size, models.size_multiple(model)
    step = (tile - lost) // multiple * multiple
    if step == 0:
        raise UserError(
            f"train.crop_size: {settings.train.crop_size} leaves too little of a tile to predict by"
        )
    return Predictor(device, precision, multiple=1, tile=tile, margin=(tile - step) // 2)


def _shown(evidence: Evidence, settings: EvaluateSettings) -> list[dict[str, Any]]:
    """Choose images to keep pictures of: some that every trial keeps, its worst, its best.

    ``iou`` is the mean over the classes that the image's truth or prediction has; an image
    that is void all over has none and is no extreme.
    """
    matrices = torch.from_numpy(evidence.matrices)
    iou = dict(zip(evidence.names, map(_number, metrics.mean_iou(matrices)), strict=True))
    ranked = sorted((value, name) for name, value in iou.items() if value is not None)
    chosen = [(name, "chosen") for name in panel_names(evidence.names, settings.panels)]
    chosen += [(name, "worst") for _, name in ranked[: settings.extremes]]
    best = ranked[max(settings.extremes, len(ranked) - settings.extremes) :]
    chosen += [(name, "best") for _, name in reversed(best)]
    return [{"name": name, "why": why, "iou": iou[name]} for name, why in chosen]


def _panels(
    model: nn.Module,
    split: Split,
    predictor: Predictor,
    shown: Iterable[dict[str, Any]],
    put: Put,
) -> list[dict[str, Any]]:
    """Store the pictures of the chosen images: themselves, their truth, the prediction."""
    panels = []
    for chosen in shown:
        image, mask = split.read(chosen["name"])
        prediction = predictor.labels(model, [image])[0]
        pictures = {"image": image[..., ::-1], "truth": mask, "prediction": prediction}
        stored = {kind: put(_png(picture), ".png") for kind, picture in pictures.items()}
        panels.append({**chosen, **stored})
    return panels


def _counts(
    settings: TrialSettings, batches: Batches, evidence: Evidence, model: nn.Module
) -> dict[str, int]:
    return {
        "train_images": len(batches.crops),
        "dropped_images": batches.crops.dropped,
        "evaluated_images": len(evidence.names),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps": settings.train.epochs * len(batches),
    }


def _checkpoint(model: nn.Module, put: Put) -> str:
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    return put(safetensors.torch.save(state), ".safetensors")


def _png(picture: np.ndarray[Any, Any]) -> bytes:
    return bytes(cv2.imencode(".png", np.ascontiguousarray(picture))[1])
