"""Measure a trial by training it: seed and settings → scores, confusion matrices, pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import safetensors.torch
import torch
from torch import nn

from bench.data import border_weights, registry
from bench.data.batches import Batches, BatchSettings
from bench.data.dataset import Dataset, Split, class_pixels
from bench.errors import UserError
from bench.evaluation import predict, samples
from bench.evaluation.boundary import Shapes
from bench.evaluation.counts import ImageCounts, confusion_json, soft_json
from bench.evaluation.evaluate import evaluate, study_scores
from bench.evaluation.predict import Predictor
from bench.evaluation.samples import Put
from bench.experiment.context import Measured, RunContext
from bench.experiment.trial import TrialSettings
from bench.profiling import flops
from bench.store.results import AccuracyResult, Memory
from bench.training import losses, models
from bench.training.loop import Trained, train
from bench.training.precision import float32_as
from unet import metrics


@dataclass(frozen=True)
class Subject:
    """What is trained and on what.

    Attributes:
        settings: of the trial.
        dataset: of its seed.
        device: where to compute.
        model: on that device, not trained yet.
        batches: of the training images.
        predictor: of whole images, upright.
        watched: the split that is scored during training, if there is one.
        train_pixels: by class, of all training images.
    """

    settings: TrialSettings
    dataset: Dataset
    device: torch.device
    model: nn.Module
    batches: Batches
    predictor: Predictor
    watched: str | None
    train_pixels: list[int]

    @property
    def num_classes(self) -> int:
        """How many classes the dataset has."""
        return len(self.dataset.classes)


def measure(settings: TrialSettings, seed: int, context: RunContext) -> Measured:
    """Train and evaluate one network.

    Args:
        settings: of the trial.
        seed: decides initialisation, order and augmentation together.
        context: where to compute, where the datasets lie, and where pictures go.

    Returns:
        Scores of ``settings.evaluate.split`` and what they were computed from.

    Raises:
        UserError: if the data or an option is not there.
        Diverged: if the loss is no number any more.
    """
    device = context.device
    torch.set_num_threads(settings.train.threads)
    subject = _subject(settings, seed, context)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with float32_as(settings.train.precision):
        trained = train(
            subject.model,
            subject.batches,
            settings.train,
            device=device,
            evaluate=_watching(subject, seed),
            evaluate_every=settings.evaluate.every,
            keep=settings.evaluate.keep,
            on_epoch=context.on_epoch,
            checkpointer=context.checkpointer,
        )
        memory = _memory(device)
        return _scored(subject, trained, context.put, memory)


def _subject(settings: TrialSettings, seed: int, context: RunContext) -> Subject:
    """Load and build all that the training needs, and refuse what cannot be trained."""
    dataset = registry.load(settings.data.for_seed(seed), context.root)
    training = _split(dataset, "train")
    watched = _watched(settings, dataset)
    _split(dataset, settings.evaluate.split)
    pixels = class_pixels(training, len(dataset.classes)).sum(0)
    if not pixels.any():
        raise UserError(f"data: every pixel of {dataset.name}'s training masks is void")
    batches = Batches(
        training,
        settings.train,
        seed=seed,
        workers=context.workers,
        margin=models.margin(settings.model),
        weights=_weights(settings, dataset),
    )
    return Subject(
        settings=settings,
        dataset=dataset,
        device=context.device,
        model=network(settings, dataset, seed, context.device),
        batches=batches,
        predictor=predict.predictor(
            settings.model,
            settings.train,
            device=context.device,
            precision=settings.train.precision,
        ),
        watched=watched,
        train_pixels=pixels.tolist(),
    )


def network(
    settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device
) -> nn.Module:
    """Build a trial's network on its device; the seed decides its initial weights."""
    torch.manual_seed(seed)
    model = models.build(settings.model, dataset.in_channels, len(dataset.classes)).to(device)
    return model.to(memory_format=torch.channels_last) if settings.train.channels_last else model


def _watching(subject: Subject, seed: int) -> Callable[[nn.Module], dict[str, Any]]:
    """Return what scores the model during training."""
    if subject.watched is None:
        return lambda model: {}
    split, crops = subject.dataset.splits[subject.watched], _plain(subject.settings)
    margin = models.margin(subject.settings.model)

    def watch(model: nn.Module) -> dict[str, Any]:
        found = _epoch_scores(evaluate(model, split, subject.predictor, subject.num_classes))
        if subject.settings.evaluate.study:
            watched_crops = Batches(split, crops, seed=seed, workers=0, margin=margin)
            found |= study_scores(model, watched_crops, subject.predictor)
        return found

    return watch


def _scored(subject: Subject, trained: Trained, put: Put, memory: Memory | None) -> Measured:
    """Evaluate the trained network, and put together what is stored of the trial."""
    settings, dataset, model = subject.settings, subject.dataset, subject.model
    evaluated = dataset.splits[settings.evaluate.split]
    predictor = replace(subject.predictor, views=settings.evaluate.tta)
    shapes = Shapes(subject.num_classes, dataset.scores)
    counts = evaluate(model, evaluated, predictor, subject.num_classes, look=shapes.look)
    chosen = samples.choose(counts, settings.evaluate)
    result = AccuracyResult(
        classes=dataset.classes,
        palette=tuple((r, g, b) for r, g, b in dataset.palette.tolist()),
        split=settings.evaluate.split,
        watched_split=subject.watched,
        chosen_epoch=trained.epoch,
        metrics={**scores(counts), **shapes.metrics()},
        counts=_counts(subject, counts),
        training_seconds=trained.seconds,
        memory=memory,
        examples=samples.keep(chosen, model, evaluated, predictor, put),
        checkpoint=_checkpoint(model, put) if settings.evaluate.checkpoint else None,
        note=dataset.note or None,
    )
    details = {
        "history": trained.history,
        "confusion": confusion_json(counts),
        "soft": soft_json(counts),
        "per_image": shapes.json(),
        "train_pixels": subject.train_pixels,
    }
    return Measured(result, details)


def _weights(settings: TrialSettings, dataset: Dataset) -> border_weights.Weights | None:
    """Return the weights of training pixels, if the loss takes any."""
    if not losses.takes_weights(settings.train.loss):
        return None
    return border_weights.weight_maps(dataset, settings.train.border_weights)


def scores(counts: ImageCounts) -> dict[str, Any]:
    """Return every score of the whole split's confusion matrix, as JSON (undefined: None)."""
    matrix = torch.from_numpy(counts.matrices.sum(axis=0))
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


def _epoch_scores(counts: ImageCounts) -> dict[str, Any]:
    means = ("mean_iou", "classes_averaged", "pixel_accuracy", "mean_class_accuracy")
    everything = scores(counts)
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


def _watched(settings: TrialSettings, dataset: Dataset) -> str | None:
    """Name the split that is scored during training: never the test images.

    A final run may train on the validation images too. Then there is nothing to watch, and nothing
    to choose an epoch by.
    """
    wanted = settings.evaluate
    if wanted.split != "test" and wanted.keep != "best":
        return wanted.split
    if wanted.keep == "last" and "val" not in dataset.splits:
        return None
    _split(dataset, "val")
    return "val"


def _plain(settings: TrialSettings) -> BatchSettings:
    """Return how crops are cut for the study's score: as for training, not augmented."""
    cut = {"crop_size", "crop_of", "batch_size", "small_images"}
    shared = settings.train.model_dump(include=cut)
    return BatchSettings(**shared)


def _memory(device: torch.device) -> Memory | None:
    """Return peaks of training in bytes; on a CPU they would be those of the whole process."""
    if device.type != "cuda":
        return None
    return Memory(
        allocated_bytes=torch.cuda.max_memory_allocated(device),
        reserved_bytes=torch.cuda.max_memory_reserved(device),
    )


def _counts(subject: Subject, counts: ImageCounts) -> dict[str, float]:
    settings, batches = subject.settings, subject.batches
    return {
        "train_images": len(batches.crops),
        "dropped_images": batches.crops.dropped,
        "evaluated_images": len(counts.names),
        "parameters": sum(parameter.numel() for parameter in subject.model.parameters()),
        "steps": settings.train.epochs * len(batches),
        **flops.of(
            settings.model,
            settings.train,
            subject.dataset,
            subject.predictor,
            batch_size=batches.order.batch_size,
        ),
    }


def _checkpoint(model: nn.Module, put: Put) -> str:
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    return put(safetensors.torch.save(state), ".safetensors")
