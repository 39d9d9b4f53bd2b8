"""Whether a user's own components do what trials need: tried on made-up images before a run.

What is wrong is one line that names the component. Built-in ones are tested, and not tried again.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.data import augment, augment_check, normalisation
from bench.data.batches import augmented
from bench.data.dataset import IGNORE_INDEX, Dataset
from bench.errors import UserError
from bench.evaluation import own_metrics
from bench.experiment import own_code
from bench.experiment.trial import TrialSettings
from bench.training import losses, models

_SIDE = 12  # of made-up images, pixels
_ENOUGH = 16  # images of a dataset that are looked at for void


def check(settings: TrialSettings, measure: str, dataset: Dataset, tried: set[str]) -> None:
    """Try out the components of a trial that are a user's own.

    ``tried`` holds what was tried before, which is not tried again. UserError names the first one
    that does not do what a trial needs, and what that is.
    """
    for component in settings.components(measure):
        if component.is_ours:
            continue
        what = json.dumps([component.kind, component.name, _given(settings, component.kind)])
        if what not in tried:
            tried.add(what)
            if edited := own_code.edited(component):
                raise UserError(
                    f"{component.name}: {edited[0]} was edited after this process had imported it; "
                    "start Python again (of a notebook, its kernel)"
                )
            try:
                _CHECKS[component.kind](settings, dataset)
            except UserError:
                raise
            except Exception as error:  # a component may raise anything
                why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
                raise UserError(f"{component.name}: failed when it was tried ({why})") from error
    train = settings.train
    if isinstance(train.augmentation, dict) and "train" in settings.splits(measure):
        what = json.dumps([train.augmentation, settings.data.model_dump_json()])
        if what not in tried:
            tried.add(what)
            augment_check.check(train, train.normalisation, dataset)


def _given(settings: TrialSettings, kind: str) -> list[Any]:
    """Return what a component is tried with, as JSON."""
    train, data = settings.train, settings.data.model_dump_json()
    match kind:
        case "network":
            return [settings.model.effective(), settings.input_size, data]
        case "loss":
            return [train.loss_options, data]
        case "augmentation":
            return [train.augmentation_options, data]
        case "metric":
            return [settings.evaluate.metrics, data]
    return [data]


def _network(settings: TrialSettings, dataset: Dataset) -> None:
    """Refuse a network whose logits have another shape, that is random, or does not learn."""
    name, channels, classes = settings.model.name, dataset.in_channels, len(dataset.classes)
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(models.build(settings.model, channels, classes))
    network, other = made
    if not isinstance(network, nn.Module):
        raise UserError(f"{name}: returned {type(network).__name__}, not a torch.nn.Module")
    state, again = network.state_dict(), other.state_dict()
    if any(not torch.equal(state[key], again[key]) for key in state):
        raise UserError(f"{name}: its initial weights differ from call to call at the same seed")
    side, margin = settings.input_size, models.architecture(settings.model).margin
    images = torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(0))
    logits = network.train()(images)
    wanted = (2, classes, side - margin, side - margin)
    if not isinstance(logits, Tensor) or logits.shape != wanted:
        shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        given = tuple(images.shape)
        raise UserError(f"{name}: logits must be {wanted} for images {given}, not {shape}")
    parameters = [one for one in network.parameters() if one.requires_grad]
    found = torch.autograd.grad(logits.square().mean(), parameters, allow_unused=True)
    gradients = [one for one in found if one is not None]
    if not gradients:
        raise UserError(f"{name}: no parameter has a gradient")
    if not all(bool(one.isfinite().all()) for one in (logits, *gradients)):
        raise UserError(f"{name}: logits or gradients are not finite")
    with torch.inference_mode():
        first, second = network.eval()(images), network(images)
    if not torch.equal(first, second):
        raise UserError(f"{name}: two predictions of one image differ in evaluation mode")


def _loss(settings: TrialSettings, dataset: Dataset) -> None:
    """Refuse a loss that is no finite scalar, is random, or counts void where there is some."""
    name, classes = settings.train.loss, len(dataset.classes)
    function = losses.build(name, settings.train.loss_options)
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, _SIDE, _SIDE, generator=rng)
    target = torch.randint(0, classes, (2, _SIDE, _SIDE), generator=rng)
    maps = [torch.rand(target.shape, generator=rng)] if losses.takes_weights(name) else []
    tried = partial(_tried, name, function, maps)
    value, _ = tried(logits, target)
    if tried(logits, target)[0] != value:
        raise UserError(f"{name}: the same logits and labels give another value the second time")
    if not _has_void(dataset):
        return
    void = torch.zeros(target.shape, dtype=torch.bool)
    void[:, :4] = True
    target[void] = IGNORE_INDEX
    value, gradient = tried(logits, target)
    changed = logits + 3 * torch.randn(logits.shape, generator=rng) * void[:, None]
    why = f"pixels of {dataset.name} that are void (label {IGNORE_INDEX})"
    mend = "leave them out, or take ignore_index as an argument"
    if not torch.isclose(tried(changed, target)[0], value, rtol=1e-5):
        raise UserError(f"{name}: {why} change its value; {mend}")
    if gradient.movedim(1, -1)[void].any():
        raise UserError(f"{name}: {why} have a gradient; {mend}")
    tried(logits, torch.full_like(target, IGNORE_INDEX))  # a crop may hold nothing else


def _tried(
    name: str, function: nn.Module, maps: list[Tensor], logits: Tensor, target: Tensor
) -> tuple[Tensor, Tensor]:
    """Return a loss and its gradient with respect to logits."""
    logits = logits.clone().requires_grad_()
    value = function(logits, target, *maps)
    if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UserError(f"{name}: must return a scalar tensor, not {found}")
    if not value.requires_grad:
        raise UserError(f"{name}: has no gradient with respect to the logits")
    (gradient,) = torch.autograd.grad(value, logits, allow_unused=True)
    if gradient is None:
        raise UserError(f"{name}: has no gradient with respect to the logits")
    where = " where all pixels are void" if bool((target == IGNORE_INDEX).all()) else ""
    if not (bool(value.isfinite()) and bool(gradient.isfinite().all())):
        raise UserError(f"{name}: its value or gradient is not finite{where}")
    return value.detach(), gradient


def _has_void(dataset: Dataset) -> bool:
    """Tell whether the first training masks have pixels that are void."""
    split = dataset.splits["train"]
    return any(bool((split.read(name)[1] == IGNORE_INDEX).any()) for name in split.names[:_ENOUGH])


def _augmentation(settings: TrialSettings, dataset: Dataset) -> None:
    """Refuse an augmentation that changes types, makes up labels, or draws from elsewhere."""
    train = settings.train
    name = train.augmentation
    pipeline = augment.build(name, train.augmentation_options)
    if pipeline is None:
        return
    augment_check.check(train, train.normalisation, dataset)
    span = normalisation.of(train.normalisation, dataset).span
    split = dataset.splits["train"]
    image, mask = split.read(split.names[0])
    first, labels = _augmented(pipeline, image, mask, span)
    if first.shape[:2] != labels.shape or labels.dtype != mask.dtype:
        raise UserError(
            f"{name}: image {first.shape} and mask {labels.shape} {labels.dtype} do not fit"
        )
    if made_up := set(np.unique(labels)) - {*range(len(dataset.classes)), IGNORE_INDEX}:
        raise UserError(f"{name}: its mask has label {min(made_up)}, which is no class")
    second, _ = _augmented(pipeline, image, mask, span)
    if not np.array_equal(first, second):
        raise UserError(
            f"{name}: the same random state gives another image; its transforms must draw from "
            "self.py_random or self.random_generator"
        )


def _augmented(
    pipeline: Any, image: NDArray[Any], mask: NDArray[Any], span: tuple[float, float]
) -> list[NDArray[Any]]:
    pipeline.set_random_state(np.random.default_rng(0), random.Random(0))
    found = augmented(pipeline, {"image": image.copy(), "mask": mask.copy()}, span)
    return [found["image"], found["mask"]]


def _metric(settings: TrialSettings, dataset: Dataset) -> None:
    """Refuse a metric that is no number, counts void, or prefers a wrong prediction."""
    classes = len(dataset.classes)
    rng = np.random.default_rng(0)
    truth = rng.integers(0, classes, (_SIDE, _SIDE), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    wrong = np.where(rng.random(truth.shape) < 0.3, (truth + 1) % classes, truth).astype(np.uint8)
    truth[:5] = IGNORE_INDEX
    other = wrong.copy()
    other[:5] = (other[:5] + 1) % classes
    perfect = np.where(truth == IGNORE_INDEX, 0, truth).astype(np.uint8)
    for name, function in own_metrics.functions(settings.evaluate.metrics).items():
        score = partial(_score, name, function, truth=truth)
        value, best = score(wrong), score(perfect)
        same = (value, score(wrong)), (value, score(other))
        if any(not math.isclose(*pair) for pair in same if not any(map(math.isnan, pair))):
            raise UserError(
                f"{name}: is another number the second time, or where void (label {IGNORE_INDEX} "
                "of the truth) is predicted otherwise"
            )
        higher = own_metrics.higher_is_better(name)
        if (best < value) if higher else (best > value):
            says = "higher_is_better = False" if higher else "higher_is_better = True"
            raise UserError(
                f"{name}: a perfect prediction scores {best:g}, one with mistakes {value:g}; if "
                f"that is right, set its attribute {says}"
            )


def _score(
    name: str, function: Callable[..., Any], prediction: NDArray[Any], *, truth: NDArray[Any]
) -> float:
    value = function(prediction.copy(), truth.copy())
    try:
        return float(value)
    except (TypeError, ValueError):
        raise UserError(f"{name}: must return a number, not {type(value).__name__}") from None


def _dataset(settings: TrialSettings, dataset: Dataset) -> None:
    """Refuse a dataset whose first images cannot be read; `registry` checks what is read."""
    for split in dataset.splits.values():
        split.read(split.names[0])


_CHECKS: dict[str, Callable[[TrialSettings, Dataset], None]] = {
    "dataset": _dataset,
    "network": _network,
    "loss": _loss,
    "augmentation": _augmentation,
    "metric": _metric,
}
