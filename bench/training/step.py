"""One step of training, and the recipe that it follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from pydantic import Field, field_validator, model_validator
from torch import nn
from torch.optim import lr_scheduler

from bench.data.batches import Batch, BatchSettings, crop_to, to_input
from bench.data.border_weights import BorderSettings
from bench.errors import UserError
from bench.settings import Settings
from bench.training import losses
from bench.training.precision import Precision, autocast

FUSED = ("cpu", "cuda")  # devices whose fused optimisers take every parameter


class ScheduleSettings(Settings):
    """How the learning rate changes. ``step`` counts epochs; the others follow every step."""

    name: Literal["step", "poly", "cosine", "one_cycle", "constant"] = "step"
    step_size: int = Field(10, ge=1, description="epochs between two drops (step)")
    gamma: float = Field(0.1, gt=0, le=1, description="factor of a drop (step)")
    power: float = Field(0.9, gt=0, description="exponent (poly)")


class TrainSettings(BatchSettings):
    """The recipe of one training run."""

    loss: str = Field("ce", description="a key of bench.training.losses.LOSSES")
    loss_options: dict[str, float] = Field({}, description="keyword arguments of the loss")
    border_weights: BorderSettings = Field(
        BorderSettings(), description="of pixels between cells (loss: weighted_ce)"
    )
    epochs: int = Field(12, ge=1, le=1_000_000)
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd")
    weight_decay: float = Field(0.0, ge=0)
    schedule: ScheduleSettings = ScheduleSettings()
    gradient_clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    precision: Precision = "fp32"
    channels_last: bool = True
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    threads: int = Field(2, ge=1, le=1024, description="CPU threads a trial computes with")

    def effective(self) -> dict[str, Any]:
        """Return the settings that are read, as JSON."""
        unread = set() if losses.takes_weights(self.loss) else {"border_weights"}
        return self.model_dump(mode="json", exclude=unread)

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


class Step:
    """One step of training in three parts: what `train` does with a batch, and what is timed.

    Args:
        model: is in training mode and on ``device``.
        settings: loss, optimiser, schedule, precision.
        device: where to compute.
        steps_per_epoch: what the schedule counts epochs by.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: TrainSettings,
        *,
        device: torch.device,
        steps_per_epoch: int,
    ) -> None:
        self.model = model
        self.network = _compiled(model, settings)
        self.loss = losses.build(settings.loss, settings.loss_options)
        self.optimizer = make_optimizer(model, settings)
        self.schedule = make_schedule(self.optimizer, settings, steps_per_epoch=steps_per_epoch)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.autocast = partial(autocast, device, settings.precision)
        self.gradient_clip = settings.gradient_clip
        # Batches come as images lie in memory, channels last.
        self.layout = torch.channels_last if settings.channels_last else torch.contiguous_format

    def __call__(
        self, inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Do a step with inputs (N, C, H, W) and labels (N, H, W) int64; return its loss.

        A loss that takes weights of pixels, (N, H, W), counts every pixel once without them.
        """
        loss = self.forward(inputs, targets, weights)
        self.backward(loss)
        self.update()
        return loss.detach()

    def forward(
        self, inputs: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the loss of a batch, from which gradients can be taken."""
        # Gradients of the last step go before this one's maps are made: both need memory.
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            logits = self.network(inputs.contiguous(memory_format=self.layout))
        known = [targets] if weights is None else [targets, weights]
        loss: torch.Tensor = self.loss(logits, *(crop_to(values, logits) for values in known))
        return loss

    def backward(self, loss: torch.Tensor) -> None:
        """Take the gradients of a loss."""
        scaled: Any = self.scaler.scale(loss)
        scaled.backward()

    def update(self) -> None:
        """Let the optimiser change the weights, and the schedule its rate."""
        if self.gradient_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what a step changes beside the model."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state_dict`` returned."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])

    @property
    def rate(self) -> float:
        """The learning rate of the next update."""
        return float(self.schedule.get_last_lr()[0])


def copied(batch: Batch, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Bring a batch of `Batches` to the device, as `Step` takes it."""
    images, labels, *weights = batch
    moved = (weight.to(device, non_blocking=True) for weight in weights)
    return to_input(images, device), labels.to(device, non_blocking=True).long(), *moved


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
