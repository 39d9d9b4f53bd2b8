"""A trial's settings → what is called again and again when its throughput is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from bench.data import border_weights
from bench.data.batches import Batch, Batches
from bench.data.dataset import Dataset
from bench.errors import UserError
from bench.experiment.trial import TrialSettings
from bench.profiling import timing
from bench.profiling.timing import Clock, Work
from bench.training import losses, models
from bench.training.step import Step, copied

ENDLESS = 10**6  # steps of an epoch: schedules are stepped and never come to their end
ATTRIBUTED = 7  # steps that are taken apart


@dataclass(frozen=True)
class Workload:
    """What a pass does.

    Attributes:
        call: does it once.
        images: how many images a call takes in.
        model: the network that it runs, not compiled; None for the loader.
        forward: the network's share of the call, without the way back.
        step: the step of training that it does, if it does one.
        batch: inputs, targets and, where the loss takes them, weights of that step, on the device.
    """

    call: Work
    images: int
    model: nn.Module | None = None
    forward: Work | None = None
    step: Step | None = None
    batch: tuple[torch.Tensor, ...] = ()


def build(settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device) -> Workload:
    """Return the workload of ``settings.timing``; the seed decides weights and inputs.

    Raises:
        UserError: if the dataset has no training images to load.
    """
    torch.manual_seed(seed)
    return WORKLOADS[settings.timing.work](settings, dataset, seed, device)


def forward(settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device) -> Workload:
    """Predict a batch: a network in evaluation mode, without gradients."""
    step, (inputs, *_) = _prepare(settings, dataset, device)
    step.model.eval()

    def call() -> object:
        with torch.inference_mode():
            return _predict(step, inputs)

    return Workload(call, len(inputs), step.model, forward=call)


def forward_backward(
    settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device
) -> Workload:
    """Take the gradients of a batch, and leave the weights."""
    step, batch = _prepare(settings, dataset, device)

    def call() -> None:
        step.backward(step.forward(*batch))

    return Workload(call, len(batch[0]), step.model, forward=partial(_predict, step, batch[0]))


def train_step(
    settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device
) -> Workload:
    """Do a step of training with a batch that lies on the device."""
    step, batch = _prepare(settings, dataset, device)
    return Workload(
        partial(step, *batch),
        len(batch[0]),
        step.model,
        forward=partial(_predict, step, batch[0]),
        step=step,
        batch=batch,
    )


def loader(settings: TrialSettings, dataset: Dataset, seed: int, device: torch.device) -> Workload:
    """Load, augment and cut a batch of training images; it stays in main memory."""
    batches = _batches(settings, dataset, seed, workers=settings.timing.workers)
    return Workload(partial(next, _endless(batches)), batches.order.batch_size)


def attribute(
    workload: Workload, settings: TrialSettings, dataset: Dataset, seed: int, clock: Clock
) -> dict[str, float]:
    """Take a step of training apart: milliseconds of its parts, none beside another.

    Loading is reading images, cutting crops and stacking them in this process; in training,
    loader processes and the device's own queue let parts run beside each other.
    """
    if workload.step is None:
        raise ValueError("only a step of training has parts")
    step, ready = workload.step, workload.batch
    plain = settings.train.model_copy(update={"augmentation": "none"})
    loading, batch = _loading(settings.model_copy(update={"train": plain}), dataset, seed, clock)
    augmented, _ = _loading(settings, dataset, seed, clock)
    scale = len(ready[0]) / len(batch[0])  # a small dataset gives smaller batches
    waiting: list[torch.Tensor] = []
    parts: dict[str, list[float]] = {}
    for _ in range(ATTRIBUTED):
        for name, work in {
            "copying": lambda: copied(batch, ready[0].device),
            "forward": lambda: waiting.append(step.forward(*ready)),
            "backward": lambda: step.backward(waiting.pop()),
            "optimiser": step.update,
        }.items():
            parts.setdefault(name, []).extend(timing.measure(work, clock, calls=1, windows=1))
    median = {name: timing.quartiles(tuple(times))[1] for name, times in parts.items()}
    return {
        "loading": loading * scale,
        "augmenting": max(0.0, augmented - loading) * scale,
        **median,
        "copying": median["copying"] * scale,
    }


def _prepare(
    settings: TrialSettings, dataset: Dataset, device: torch.device
) -> tuple[Step, tuple[torch.Tensor, ...]]:
    """Return the step of a network in training mode, and a random batch on the device."""
    train = settings.train
    layout = torch.channels_last if train.channels_last else torch.contiguous_format
    side = settings.input_size
    size = (train.batch_size, dataset.in_channels, side, side)
    classes = len(dataset.classes)
    model = models.build(settings.model, dataset.in_channels, classes).to(device)
    model = model.to(memory_format=layout).train()
    inputs = (torch.rand(size) * 2 - 1).to(device).contiguous(memory_format=layout)
    batch = [inputs, torch.randint(classes, (size[0], *size[2:])).to(device)]
    if losses.takes_weights(train.loss):
        batch.append(torch.rand(size[0], *size[2:]).to(device))
    return Step(model, train, device=device, steps_per_epoch=ENDLESS), tuple(batch)


def _predict(step: Step, inputs: torch.Tensor) -> torch.Tensor:
    with step.autocast():
        logits: torch.Tensor = step.network(inputs)
    return logits


def _batches(settings: TrialSettings, dataset: Dataset, seed: int, *, workers: int) -> Batches:
    if "train" not in dataset.splits:
        raise UserError(f"data: {dataset.name} has no train split here to load batches from")
    train, weights = settings.train, None
    if losses.takes_weights(train.loss):
        weights = border_weights.weight_maps(dataset, train.border_weights)
    return Batches(
        dataset.splits["train"],
        train,
        seed=seed,
        workers=workers,
        margin=models.margin(settings.model),
        weights=weights,
    )


def _endless(batches: Batches) -> Iterator[Batch]:
    epoch = 0
    while True:
        epoch += 1
        yield from batches.epoch(epoch)


def _loading(
    settings: TrialSettings, dataset: Dataset, seed: int, clock: Clock
) -> tuple[float, Batch]:
    """Return the median milliseconds of a batch, and a batch."""
    stream = _endless(_batches(settings, dataset, seed, workers=0))
    batch = next(stream)
    times = timing.measure(partial(next, stream), clock, calls=1, windows=ATTRIBUTED)
    return timing.quartiles(times)[1], batch


WORKLOADS: dict[str, Callable[[TrialSettings, Dataset, int, torch.device], Workload]] = {
    "forward": forward,
    "forward+backward": forward_backward,
    "train_step": train_step,
    "loader": loader,
}
