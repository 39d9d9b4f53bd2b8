"""Whether a device computes what a CPU does: a step of every network, and fp16's scaling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.components.built_in import BUILT_IN
from bench.doctor.driver import half_format
from bench.doctor.finding import Finding, Machine, off, ok
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.precision import Precision, float32_as
from bench.training.step import Step, TrainSettings

CHANNELS, CLASSES, BATCH, CROP = 3, 4, 2, 32
SCALE = 64.0  # of the loss in fp16
WINDOW = 65  # of the sliding window, the smaller of two
# bf16 rounds to 8 bits, that is by up to 0.4 %, in each layer anew. On a CPU the logits of these
# networks were 0.2 to 1.1 % off, and their gradients 0.4 to 8 %, by the norm of the difference.
# A wrong kernel gives numbers that have nothing in common, a difference of 100 % or more.
LOGITS, GRADIENTS = 0.05, 0.25
UPDATE = (
    "update the driver and torch; until then, set train.precision to another one, and compare a "
    "trial with --device cpu"
)
# The scale falls from 65,536 within the first steps, if at all, and rarely once more.
FP16_STEPS, SETTLED, LATE = 40, 20, 2


@dataclass(frozen=True)
class FirstStep:
    """What a first step computed."""

    logits: Tensor
    gradients: Tensor
    finite: bool  # whether all weights are numbers after it


def steps(machine: Machine, names: Iterable[str] = tuple(BUILT_IN["network"])) -> Finding:
    """Compare a step of every network on this device with one in float32 on the CPU."""
    half, cpu = half_format(machine.device), torch.device("cpu")
    differences: dict[str, tuple[float, float]] = {}
    wrong = []
    for name in names:
        found, exact = first_step(name, half, machine.device), first_step(name, "fp32", cpu)
        logits = difference(found.logits, exact.logits)
        gradients = difference(found.gradients, exact.gradients)
        differences[name] = logits, gradients
        # Written so that what is not a number is wrong too.
        if not (logits <= LOGITS and gradients <= GRADIENTS):
            wrong.append(f"{name}: logits {logits:.0%} and gradients {gradients:.0%} off")
        elif not found.finite:
            wrong.append(f"{name}: weights are not finite after a step")
    numbers = {name: {"logits": a, "gradients": b} for name, (a, b) in differences.items()}
    if wrong:
        allowed = f"at most {LOGITS:.0%} and {GRADIENTS:.0%} are expected"
        return off(
            f"a step in {half} against float32 on the CPU: {'; '.join(wrong)} ({allowed})",
            UPDATE,
            **numbers,
        )
    logits, gradients = (max(values) for values in zip(*differences.values(), strict=True))
    text = f"a step of {len(differences)} networks in {half} is that of float32 on the CPU"
    return ok(f"{text} (logits within {logits:.1%}, gradients {gradients:.1%})", **numbers)


def first_step(name: str, precision: Precision, device: torch.device) -> FirstStep:
    """Do a step of a small network of a name; weights and batch are the same on every device.

    Batch norm takes its stored statistics: with those of a small random batch, deep networks
    amplify rounding until gradients in bf16 and float32 have nothing in common, on a CPU too.
    """
    settings = ModelSettings(name=name, base_channels=8, depth=2, window=WINDOW, encoder="resnet18")
    architecture = models.architecture(settings)
    size = architecture.nearest_sizes(CROP + architecture.margin)[-1]
    torch.manual_seed(0)
    model = architecture.build(CHANNELS, CLASSES).train()
    images = torch.rand(BATCH, CHANNELS, size, size) * 2 - 1
    labels = torch.randint(CLASSES, (BATCH, size, size))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # each device draws its own
        elif isinstance(module, nn.BatchNorm2d):
            module.eval()
    model = model.to(device).to(memory_format=torch.channels_last)
    with float32_as(precision):
        train = TrainSettings(precision=precision, optimizer="sgd")
        step = Step(model, train, device=device, steps_per_epoch=1)
        # So small that nothing overflows; that the scale is found is another check.
        enabled = precision == "fp16"
        step.scaler = torch.amp.GradScaler(device.type, init_scale=SCALE, enabled=enabled)
        seen: list[Tensor] = []
        handle = model.register_forward_hook(lambda module, inputs, logits: seen.append(logits))
        step.backward(step.forward(images.to(device), labels.to(device)))
        handle.remove()
        scale = step.scaler.get_scale()
        gradients = torch.cat([one.flatten() for one in _gradients(model)]) / scale
        step.update()
    finite = all(bool(one.isfinite().all()) for one in model.parameters())
    return FirstStep(seen[0].detach().float().cpu(), gradients.float().cpu(), finite)


def scaling(machine: Machine) -> Finding:
    """Train a toy network in fp16, and count the steps that the scaling of its loss skips."""
    losses, skipped = toy_training(machine.device)
    late = sum(number >= SETTLED for number in skipped)
    numbers = {"steps": FP16_STEPS, "skipped": skipped, "losses": [losses[0], losses[-1]]}
    text = f"{len(skipped)} of {FP16_STEPS} steps in fp16 were skipped until a scale was found"
    if late > LATE:
        text = f"{late} of the last {FP16_STEPS - SETTLED} steps in fp16 were skipped"
        return off(f"{text}: gradients overflow", UPDATE, **numbers)
    if not losses[-1] < losses[0]:
        text = f"in fp16 the loss of a toy network went from {losses[0]:.3g} to {losses[-1]:.3g}"
        return off(text, UPDATE, **numbers)
    return ok(text, **numbers)


def toy_training(device: torch.device) -> tuple[list[float], list[int]]:
    """Return the losses of all steps, and the numbers of those that were skipped."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(CHANNELS, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, CLASSES, 1)
    ).to(device)
    train = TrainSettings(precision="fp16", learning_rate=0.01)
    step = Step(model, train, device=device, steps_per_epoch=FP16_STEPS)
    images = (torch.rand(BATCH, CHANNELS, CROP, CROP) * 2 - 1).to(device)
    labels = images[:, 0].mul(1.999).add(2).long()  # what there is to learn
    losses, skipped = [], []
    for number in range(FP16_STEPS):
        before = step.scaler.get_scale()
        losses.append(float(step(images, labels)))
        if step.scaler.get_scale() < before:  # it does so, and nothing else, after an overflow
            skipped.append(number)
    return losses, skipped


def difference(found: Tensor, exact: Tensor) -> float:
    """Return the norm of a difference, as a share of the norm of what is exact."""
    return float((found - exact).norm() / exact.norm())


def _gradients(model: nn.Module) -> Iterator[Tensor]:
    for parameter in model.parameters():
        if parameter.grad is not None:
            yield parameter.grad
