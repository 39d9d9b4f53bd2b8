"""The training loop, and the recipes that it can follow."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn
from torch.optim import lr_scheduler

from bench import losses
from bench.batches import Batches, BatchSettings, to_input
from bench.errors import UserError
from bench.evaluate import crop_to
from bench.precision import Precision, autocast
from bench.settings import Settings

Evaluate = Callable[[nn.Module], Mapping[str, float | int | None]]
EpochRow = dict[str, Any]
FUSED = ("cpu", "cuda")  # devices whose fused optimisers take every parameter


class ScheduleSettings(Settings):
    """How the learning rate changes. ``step`` counts epochs; the others follow every step."""

    name: Literal["step", "poly", "cosine", "one_cycle", "constant"] = "step"
    step_size: int = Field(10, ge=1, description="epochs between two drops (step)")
    gamma: float = Field(0.1, gt=0, le=1, description="factor of a drop (step)")
    power: float = Field(0.9, gt=0, description="exponent (poly)")


class TrainSettings(BatchSettings):
    """The recipe of one training run."""

    loss: str = Field("ce", description="a key of bench.losses.LOSSES")
    loss_options: dict[str, float] = Field({}, description="keyword arguments of the loss")
    epochs: int = Field(12, ge=1)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd")
    weight_decay: float = Field(0.0, ge=0)
    schedule: ScheduleSettings = ScheduleSettings()
    gradient_clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    precision: Precision = "fp32"
    channels_last: bool = True
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    threads: int = Field(2, ge=1, description="CPU threads a trial computes with")

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, name: str) -> str:
        try:
            losses.check_name(name)
        except UserError as error:  # pydantic names the key only for a ValueError
            raise ValueError(str(error)) from error
        return name

    @model_validator(mode="after")
    def _loss_takes_its_options(self) -> TrainSettings:
        try:
            losses.check(self.loss, self.loss_options)
        except UserError as error:
            raise ValueError(f"loss_options: {error}") from error
        return self


class Diverged(Exception):
    """The loss is no number any more. The message says in which epoch."""


@dataclass(frozen=True)
class Trained:
    """What training leaves: a row an epoch, and the epoch whose weights the model holds."""

    history: list[EpochRow]
    epoch: int


def train(
    model: nn.Module,
    batches: Batches,
    settings: TrainSettings,
    *,
    device: torch.device,
    evaluate: Evaluate,
    evaluate_every: int = 1,
    keep: Literal["last", "best"] = "last",
    on_epoch: Callable[[EpochRow], None] = lambda row: None,
) -> Trained:
    """Train a model in place.

    Args:
        model: maps (N, C, H, W) in [-1, 1] to logits; it is on ``device``.
        batches: crops for every epoch.
        settings: loss, optimiser, schedule, precision.
        device: where to compute.
        evaluate: scores the model; called every ``evaluate_every`` epochs and after the last.
        evaluate_every: epochs from one evaluation to the next.
        keep: leave the weights of the last epoch in the model, or those of the evaluated
            epoch with the largest ``mean_iou`` (the first of equals).
        on_epoch: called with each row of the history when it is made.

    Raises:
        Diverged: if the loss of an epoch is not finite.
    """
    loss_function = losses.build(settings.loss, settings.loss_options)
    optimizer = make_optimizer(model, settings)
    schedule = make_schedule(optimizer, settings, steps_per_epoch=len(batches))
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
    step = _compiled(model, settings)
    history: list[EpochRow] = []
    best: tuple[float, int, dict[str, torch.Tensor]] | None = None

    for epoch in range(1, settings.epochs + 1):
        started = time.perf_counter()
        rate = schedule.get_last_lr()[0]
        total = torch.zeros((), device=device)  # summed on the device: no wait in every step
        model.train()
        for images, labels in batches.epoch(epoch):
            inputs = to_input(images, device)
            targets = labels.to(device, non_blocking=True).long()
            with autocast(device, settings.precision):
                logits = step(inputs)
            loss = loss_function(logits, crop_to(targets, logits))
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            if settings.gradient_clip is not None:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
            scaler.step(optimizer)
            scaler.update()
            schedule.step()
            total += loss.detach()

        mean_loss = float(total) / len(batches)
        if not math.isfinite(mean_loss):
            raise Diverged(f"the training loss is {mean_loss} in epoch {epoch}")
        row: EpochRow = {"epoch": epoch, "train_loss": mean_loss, "learning_rate": rate}
        row["seconds"] = time.perf_counter() - started
        if epoch % evaluate_every == 0 or epoch == settings.epochs:
            row["metrics"] = scores = dict(evaluate(model))
            value = scores["mean_iou"]
            if keep == "best" and value is not None and (best is None or value > best[0]):
                best = value, epoch, copy.deepcopy(model.state_dict())
        history.append(row)
        on_epoch(row)

    if best is None:
        return Trained(history, settings.epochs)
    model.load_state_dict(best[2])
    return Trained(history, best[1])


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimiser of the recipe over all parameters, in one kernel where there is one."""
    rate, decay = settings.learning_rate, settings.weight_decay
    parameters = list(model.parameters())
    fused = parameters[0].device.type in FUSED
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=fused)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=fused)
        case "sgd":
            momentum = settings.momentum
            return torch.optim.SGD(
                parameters, rate, momentum=momentum, weight_decay=decay, fused=fused
            )


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainSettings, *, steps_per_epoch: int
) -> lr_scheduler.LRScheduler:
    """Return the schedule of the recipe, to be stepped after every optimiser step."""
    schedule, total = settings.schedule, settings.epochs * steps_per_epoch
    match schedule.name:
        case "step":
            period = schedule.step_size * steps_per_epoch
            return lr_scheduler.StepLR(optimizer, period, schedule.gamma)
        case "poly":
            return lr_scheduler.PolynomialLR(optimizer, total, schedule.power)
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(optimizer, total)
        case "one_cycle":
            # One step more than there are: torch refuses a call past the end.
            return lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total + 1)
        case "constant":
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)


def _compiled(model: nn.Module, settings: TrainSettings) -> Callable[[torch.Tensor], torch.Tensor]:
    if settings.compile == "none":
        return model
    compiled: Callable[[torch.Tensor], torch.Tensor] = torch.compile(model, mode=settings.compile)
    return compiled
