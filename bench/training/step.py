"""One step of training, and the settings that it follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor, nn
from torch.optim import lr_scheduler

from bench.components.names import ComponentName, known
from bench.data.batches import Batch, BatchSettings, crop_to
from bench.data.border_weights import BorderSettings
from bench.data.normalisation import Normalisation, NormalisationChoice, copied
from bench.settings import Settings
from bench.training import losses
from bench.training.precision import Precision, autocast

FUSED = ("cpu", "cuda")  # devices that have fused optimisers for every parameter
STATEFUL = ("optimizer", "schedule", "scaler")  # what a step changes beside the model


class ScheduleSettings(Settings):
    """How the learning rate changes. ``step`` counts epochs; the others follow every step."""

    name: Literal["step", "poly", "cosine", "one_cycle", "constant"] = "step"
    step_size: int = Field(10, ge=1, description="epochs between two drops (step)")
    gamma: float = Field(0.1, gt=0, le=1, description="factor of a drop (step)")
    power: float = Field(0.9, gt=0, description="exponent (poly)")


class TrainSettings(BatchSettings):
    """The hyperparameters of one training run."""

    loss: ComponentName = Field(
        "ce", description="a built-in loss, or one of your own as package.module:Name"
    )
    loss_options: dict[str, Any] = Field({}, description="keyword arguments of the loss")
    border_weights: BorderSettings = Field(
        BorderSettings(), description="weights of pixels between cells (loss: weighted_ce)"
    )
    normalisation: NormalisationChoice = Field(
        "full_range",
        description="how pixel values become the input: full_range (0 to 255 or 65535 becomes −1 "
        "to 1), dataset (mean and standard deviation of the training images, by channel), imagenet "
        "(those of ImageNet), or a range of pixel values that becomes −1 to 1",
    )
    epochs: int = Field(12, ge=1, le=1_000_000)
    patience: int | None = Field(
        None,
        ge=1,
        description="stop when the best mean IoU on the watched split is this many epochs old; "
        "null: train for all epochs",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(0.0, ge=0)
    schedule: ScheduleSettings = ScheduleSettings()
    gradient_clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    precision: Precision = "fp32"
    channels_last: bool = True
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    cudnn_benchmark: bool = Field(
        False,
        description="let cuDNN time its algorithms for every shape and take the fastest; a network "
        "of one seed is not the same every time then",
    )
    threads: int = Field(1, ge=1, le=1024, description="CPU threads a trial computes with")

    def effective(self) -> dict[str, Any]:
        """Return the settings that change the result, as JSON."""
        unread = set() if losses.takes_weights(self.loss) else {"border_weights"}
        # As it was before there were these settings.
        if self.normalisation == "full_range":
            unread.add("normalisation")
        if self.patience is None:
            unread.add("patience")
        if self.loader == "host":
            unread.add("loader")
        if not self.cudnn_benchmark:
            unread.add("cudnn_benchmark")
        return self.model_dump(mode="json", exclude=unread)

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, name: str) -> str:
        return known("loss", name)

    @field_validator("loss_options")
    @classmethod
    def _known_options(cls, options: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "loss" in info.data:  # else its name is wrong, which is said already
            losses.check(info.data["loss"], options)
        return options


class Step:
    """One step of training a model that is on ``device``: forward pass, backward pass and update.

    ``network`` is the model and ``loss_of`` the model with its loss, both compiled if that is set.
    ``steps_per_epoch`` converts the schedule's epochs to steps.
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
        self.network: Callable[[Tensor], Tensor] = model
        self.loss_of: Callable[..., Tensor] = self._loss_of
        if settings.compile != "none":  # nothing is compiled before it is called
            self.network = torch.compile(model, mode=settings.compile)
            self.loss_of = torch.compile(self._loss_of, mode=settings.compile)
        self.loss = losses.build(settings.loss, settings.loss_options)
        self.optimizer = make_optimizer(model, settings)
        self.schedule = make_schedule(self.optimizer, settings, steps_per_epoch=steps_per_epoch)
        # Small gradients underflow in fp16; bf16 has the exponents of float32 and needs no scaling.
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.autocast = partial(autocast, device, settings.precision)
        self.gradient_clip = settings.gradient_clip
        # Batches arrive channels last, as images are stored.
        self.layout = torch.channels_last if settings.channels_last else torch.contiguous_format

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Do a step with inputs (N, C, H, W) and labels (N, H, W) int64; return its loss.

        ``weights`` (N, H, W) are for a loss that takes weights of pixels; without them all are 1.
        """
        loss = self.forward(inputs, targets, weights)
        self.backward(loss)
        self.update()
        return loss.detach()

    def forward(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the loss of a batch, attached to its graph."""
        # The last step's gradients are freed before this one's feature maps are allocated.
        self.optimizer.zero_grad(set_to_none=True)
        maps = [targets] if weights is None else [targets, weights]
        return self.loss_of(inputs.contiguous(memory_format=self.layout), *maps)

    def _loss_of(self, inputs: Tensor, *maps: Tensor) -> Tensor:
        """Return the loss of inputs and of labels and weights: network and loss in one graph."""
        with self.autocast():
            logits = self.model(inputs)
        # An unpadded network predicts the middle of its input only.
        loss: Tensor = self.loss(logits, *(crop_to(values, logits) for values in maps))
        return loss

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of a loss."""
        scaled: Any = self.scaler.scale(loss)
        scaled.backward()

    def update(self) -> None:
        """Update the weights, then the learning rate."""
        if self.gradient_clip is not None:
            self.scaler.unscale_(self.optimizer)  # the norm is that of the true gradient
            nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state that steps change beside the model's."""
        return {name: getattr(self, name).state_dict() for name in STATEFUL}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state_dict`` returned."""
        for name in STATEFUL:
            getattr(self, name).load_state_dict(state[name])

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next update."""
        return float(self.schedule.get_last_lr()[0])


def to_device(batch: Batch, device: torch.device, normalised: Normalisation) -> tuple[Tensor, ...]:
    """Copy a batch of `Batches` to the device, in the form that `Step` takes."""
    images, labels, *weights = batch
    moved = (copied(weight, device) for weight in weights)
    return normalised(images, device), copied(labels, device).long(), *moved


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimiser over all parameters, fused into one kernel where the device has it."""
    parameters, rate = list(model.parameters()), settings.learning_rate
    fused = parameters[0].device.type in FUSED
    options: dict[str, Any] = {"weight_decay": settings.weight_decay, "fused": fused}
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, rate, **options)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, **options)
        case "sgd":
            return torch.optim.SGD(parameters, rate, settings.momentum, **options)


def make_schedule(
    optimizer: torch.optim.Optimizer, settings: TrainSettings, *, steps_per_epoch: int
) -> lr_scheduler.LRScheduler:
    """Return the learning-rate schedule, to be stepped after every optimiser step."""
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
            # One step more than there are, because torch refuses a call past the end.
            return lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total + 1)
        case "constant":
            return lr_scheduler.ConstantLR(optimizer, factor=1.0)
