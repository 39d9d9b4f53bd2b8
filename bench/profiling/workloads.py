"""The pass that is timed repeatedly, built from the settings of a trial."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from bench.data import border_weights, normalisation
from bench.data.batches import Batch, Batches
from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.experiment.trial import TrialSettings
from bench.profiling import timing
from bench.profiling.clocks import Clock, Work
from bench.training import losses, models
from bench.training.step import Step, to_device

ENDLESS = 10**6  # steps of an epoch: the schedule is stepped and never reaches its end
ATTRIBUTED = 7  # steps whose parts are timed separately


@dataclass(frozen=True)
class Workload:
    """A pass to be timed: what ``call`` does once."""

    call: Work
    images: int  # in a call
    model: nn.Module | None = None  # the network that it runs, not compiled; None for the loader
    forward: Work | None = None  # the network's forward pass alone
    step: Step | None = None  # the step of training that it does, if it does one
    batch: tuple[torch.Tensor, ...] = ()  # of that step: inputs, targets and weights, if any


def on_device(settings: TrialSettings) -> bool:
    """Tell whether a pass works on the trial's device; the loader may work in main memory."""
    return settings.timing.work != "loader" or settings.train.loader == "device"


def build(settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device) -> Workload:
    """Return the workload of ``settings.timing``; the seed decides weights and inputs.

    The loader loads, crops and augments a batch of training images, in main memory or from images
    that it keeps on the device. The other workloads take a random batch that is there already.
    UserError if the dataset has no training images to load.
    """
    torch.manual_seed(seed)
    if settings.timing.work == "loader":
        batches = _batches(settings, dataset, seed, device, workers=settings.timing.workers)
        return Workload(partial(next, _endless(batches)), batches.order.batch_size)
    step, batch = _prepare(settings, dataset, device)
    inputs, model = batch[0], step.model
    predict: Work = partial(_predict, step, inputs)
    match settings.timing.work:
        case "forward":
            model.eval()
            predict = torch.inference_mode()(predict)
            return Workload(predict, len(inputs), model, predict)
        case "forward+backward":
            return Workload(
                lambda: step.backward(step.forward(*batch)), len(inputs), model, predict
            )
        case "train_step":
            return Workload(partial(step, *batch), len(inputs), model, predict, step, batch)


def attribute(
    workload: Workload, settings: TrialSettings, dataset: Dataset, seed: int, clock: Clock
) -> dict[str, float]:
    """Time the parts of a step of training separately, in milliseconds; other passes have none.

    Loading is reading images, cropping and stacking them in this process. In training the parts
    overlap, thanks to loader processes and the device's queue.
    """
    step, ready = workload.step, workload.batch
    if step is None:
        return {}
    device = ready[0].device
    none = {"augmentation": "none", "augmentation_options": {}}
    unaugmented = settings.train.model_copy(update=none)
    plain = settings.model_copy(update={"train": unaugmented})
    loading, batch = _loading(plain, dataset, seed, device, clock)
    normalised = normalisation.of(settings.train.normalisation, dataset)
    augmented, _ = _loading(settings, dataset, seed, device, clock)
    scale = len(ready[0]) / len(batch[0])  # a small dataset gives smaller batches
    losses_of_steps: list[torch.Tensor] = []
    parts: dict[str, list[float]] = {}
    for _ in range(ATTRIBUTED):
        for name, work in {
            "copying": lambda: to_device(batch, device, normalised),
            "forward": lambda: losses_of_steps.append(step.forward(*ready)),
            "backward": lambda: step.backward(losses_of_steps.pop()),
            "optimiser": step.update,
        }.items():
            parts.setdefault(name, []).extend(timing.measure(work, clock, calls=1, windows=1))
    median = {name: timing.quartiles(tuple(times))[1] for name, times in parts.items()}
    augmenting = max(0.0, augmented - loading)
    reading = {"loading": loading * scale, "augmenting": augmenting * scale}
    return {**reading, **median, "copying": median["copying"] * scale}


def _prepare(
    settings: TrialSettings, dataset: Dataset, device: torch.device
) -> tuple[Step, tuple[torch.Tensor, ...]]:
    """Return the step of a network in training mode, and a random batch on the device."""
    train, side = settings.train, settings.input_size
    layout = torch.channels_last if train.channels_last else torch.contiguous_format
    size = (train.batch_size, dataset.in_channels, side, side)
    classes = len(dataset.classes)
    model = models.build(settings.model, dataset.in_channels, classes).to(device)
    model = model.to(memory_format=layout).train()
    inputs = (torch.rand(size) * 2 - 1).to(device).contiguous(memory_format=layout)
    batch = [inputs, torch.randint(classes, (size[0], *size[2:])).to(device)]
    if losses.takes_weights(train.loss):
        batch.append(torch.rand(size[0], *size[2:]).to(device))
    options = losses.with_weights(train.loss, train.loss_options, [1] * classes)
    train = train.model_copy(update={"loss_options": options})
    return Step(model, train, device=device, steps_per_epoch=ENDLESS), tuple(batch)


def _predict(step: Step, inputs: torch.Tensor) -> torch.Tensor:
    with step.autocast():
        logits: torch.Tensor = step.network(inputs)
    return logits


def _batches(
    settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device, *, workers: int
) -> Batches:
    if "train" not in dataset.splits:
        raise UserError(f"data: {dataset.name} has no train split to load batches from")
    train, weights = settings.train, None
    if losses.takes_weights(train.loss):
        weights = border_weights.weight_maps(dataset, train.border_weights)
    margin, split = models.architecture(settings.model).margin, dataset.splits["train"]
    return Batches(
        split,
        train,
        seed=seed,
        workers=workers,
        margin=margin,
        weights=weights,
        normalisation=normalisation.of(train.normalisation, dataset),
        device=device,
    )


def _endless(batches: Batches) -> Iterator[Batch]:
    for epoch in itertools.count(1):
        yield from batches.epoch(epoch)


def _loading(
    settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device, clock: Clock
) -> tuple[float, Batch]:
    """Return the median milliseconds of a batch, and a batch."""
    stream = _endless(_batches(settings, dataset, seed, device, workers=0))
    batch = next(stream)
    where = clock if settings.train.loader == "device" else Clock()
    times = timing.measure(partial(next, stream), where, calls=1, windows=ATTRIBUTED)
    return timing.quartiles(times)[1], batch
