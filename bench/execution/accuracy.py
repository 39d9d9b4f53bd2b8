"""Measure a trial by training it: seed and settings → scores, confusion matrices, pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import safetensors.torch
import torch
from torch import nn

from bench.data import border_weights, normalisation
from bench.data.batches import Batches, BatchSettings
from bench.data.dataset import Dataset, class_pixels
from bench.data.tune_split import TUNE
from bench.errors import UserError
from bench.evaluation import predict
from bench.evaluation.evaluate import evaluate, study_scores
from bench.evaluation.predict import Predictor
from bench.evaluation.samples import Put
from bench.execution import scoring
from bench.experiment.context import Measured, RunContext
from bench.experiment.trial import TrialSettings
from bench.profiling import flops, memory
from bench.store.results import AccuracyResult, Compiled, Input
from bench.training import compiling, losses, models
from bench.training.convolutions import tried_by_cudnn
from bench.training.loop import Trained, train
from bench.training.precision import float32_as

# Of the scores, those that are kept of every epoch.
EPOCH_SCORES = ("mean_iou", "classes_averaged", "pixel_accuracy", "mean_class_accuracy")


@dataclass(frozen=True)
class Setup:
    """What is trained and on what, before the first step.

    ``predictor`` is of whole images, upright; ``watched`` names the split that is scored during
    training, if there is one; ``train_pixels`` counts the pixels of each class.
    """

    settings: TrialSettings
    dataset: Dataset
    model: nn.Module
    batches: Batches
    predictor: Predictor
    watched: str | None
    train_pixels: list[int]


def measure(settings: TrialSettings, seed: int, context: RunContext) -> Measured:
    """Train and evaluate one network; the seed decides initialisation, order and augmentation.

    Where the context has a stored training of the same network, its weights are evaluated.

    Raises:
        UserError: if the data or an option is not there.
        Diverged: if the loss is no number any more.
    """
    if context.training is not None:
        return scoring.measure(settings, seed, context)
    torch.set_num_threads(settings.train.threads)
    compiled = settings.train.compile != "none"
    if compiled:
        compiling.begin()
    setup = _setup(settings, seed, context)
    memory.reset(context.device)
    recipe = settings.train
    with float32_as(recipe.precision), tried_by_cudnn(recipe.cudnn_benchmark):
        trained = train(
            setup.model,
            setup.batches,
            setup.settings.train,
            device=context.device,
            evaluate=_watching(setup, seed),
            evaluate_every=settings.evaluate.every,
            keep=settings.evaluate.keep,
            on_epoch=context.on_epoch,
            checkpointer=context.checkpointer,
        )
        of_training = {
            "memory": memory.cuda_peaks(context.device),
            "compiled": Compiled(**asdict(compiling.outcome())) if compiled else None,
        }
        return _scored(setup, trained, context.put, of_training)


def _setup(settings: TrialSettings, seed: int, context: RunContext) -> Setup:
    """Load and build all that the training needs, and refuse what cannot be trained."""
    recipe = settings.train
    dataset = settings.dataset(context.root, seed)
    watched = _watched(settings, dataset)
    for name in ("train", settings.evaluate.split, watched):
        if name is not None and name not in dataset.splits:
            there = ", ".join(dataset.splits)
            raise UserError(f"data: {dataset.name} has no {name} split here; it has {there}")
    pixels = class_pixels(dataset.splits["train"], len(dataset.classes)).sum(0)
    if not pixels.any():
        raise UserError(f"data: every pixel of {dataset.name}'s training masks is void")
    weights = None
    if losses.takes_weights(recipe.loss):
        weights = border_weights.weight_maps(dataset, recipe.border_weights)
    normalised = normalisation.of(recipe.normalisation, dataset)
    batches = Batches(
        dataset.splits["train"],
        recipe,
        seed=seed,
        workers=context.workers,
        margin=models.architecture(settings.model).margin,
        weights=weights,
        normalisation=normalised,
        device=context.device,
    )
    device = context.device
    predictor = predict.predictor(
        settings.model,
        recipe,
        device=device,
        precision=recipe.precision,
        normalisation=normalised,
    )
    model = network(settings, dataset, seed, device)
    options = losses.with_weights(recipe.loss, recipe.loss_options, pixels.tolist())
    weighed = recipe.model_copy(update={"loss_options": options})
    settings = settings.model_copy(update={"train": weighed})
    return Setup(settings, dataset, model, batches, predictor, watched, pixels.tolist())


def _watched(settings: TrialSettings, dataset: Dataset) -> str | None:
    """Name the split that is scored during training: never the test images.

    A final run may train on the validation images too. Then there is nothing to watch, and nothing
    to choose an epoch by. What chooses an epoch or stops the training is the same split whichever
    one is scored at the end.
    """
    wanted = settings.evaluate
    decides = wanted.keep == "best" or settings.train.patience is not None
    if wanted.split == TUNE:
        return TUNE
    if wanted.split != "test" and not decides:
        return wanted.split
    return "val" if decides or "val" in dataset.splits else None


def network(
    settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device
) -> nn.Module:
    """Build a trial's network on its device; the seed decides its initial weights."""
    torch.manual_seed(seed)
    model = models.build(settings.model, dataset.in_channels, len(dataset.classes)).to(device)
    return model.to(memory_format=torch.channels_last) if settings.train.channels_last else model


def _watching(setup: Setup, seed: int) -> Callable[[nn.Module], dict[str, Any]]:
    """Return what scores the model during training."""
    settings, dataset, predictor = setup.settings, setup.dataset, setup.predictor
    if setup.watched is None:
        return lambda model: {}
    split, margin = dataset.splits[setup.watched], models.architecture(settings.model).margin
    # The study's score is of crops that are cut as for training, and not augmented.
    cut = {"crop_size", "crop_of", "batch_size", "small_images"}
    crops = BatchSettings(**settings.train.model_dump(include=cut))

    def watch(model: nn.Module) -> dict[str, Any]:
        found = scoring.scores(evaluate(model, split, predictor, len(dataset.classes)))
        row = {name: found[name] for name in EPOCH_SCORES}
        if settings.evaluate.study:
            watched_crops = Batches(split, crops, seed=seed, workers=0, margin=margin)
            row |= study_scores(model, watched_crops, predictor)
        return row

    return watch


def _scored(setup: Setup, trained: Trained, put: Put, of_training: Mapping[str, Any]) -> Measured:
    """Evaluate the trained network, and put together what is stored of the trial."""
    model, wanted = setup.model, setup.settings.evaluate
    scored = scoring.score(model, setup.dataset, setup.predictor, wanted, put)
    checkpoint = None
    state = {name: v.detach().cpu().contiguous() for name, v in model.state_dict().items()}
    if wanted.keeps(sum(value.nbytes for value in state.values())):
        checkpoint = put(safetensors.torch.save(state), ".safetensors")
    result = AccuracyResult(
        **scored.result,
        watched_split=setup.watched,
        chosen_epoch=trained.epoch,
        counts=_counts(setup, scored.images, len(trained.history)),
        training_seconds=trained.seconds,
        input=Input(**asdict(setup.predictor.normalisation)),
        checkpoint=checkpoint,
        **of_training,
    )
    known = {"history": trained.history, "train_pixels": setup.train_pixels}
    return Measured(result, {**known, **scored.details})


def _counts(setup: Setup, evaluated: int, epochs: int) -> dict[str, float]:
    settings, batches = setup.settings, setup.batches
    size = batches.order.batch_size
    kept = {"device_bytes": batches.bytes_on_device} if batches.bytes_on_device else {}
    return {
        **kept,
        "train_images": len(batches.crops),
        "dropped_images": batches.crops.dropped,
        "evaluated_images": evaluated,
        "parameters": sum(parameter.numel() for parameter in setup.model.parameters()),
        "epochs": epochs,
        "steps": epochs * len(batches),
        **flops.of(settings.model, settings.train, setup.dataset, setup.predictor, batch_size=size),
    }
