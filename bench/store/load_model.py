"""A network with its trained weights: of a checkpoint file, or of a finished trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
from pydantic import ValidationError
from torch import nn

from bench.errors import UserError, nearest
from bench.store.folder import Store
from bench.store.loading import labelled
from bench.store.records import Record
from bench.training import checkpoints, models
from bench.training.checkpoints import Weights
from bench.training.models import ModelSettings
from unet.model import Padding, UNet, nearest_valid_sizes


@dataclass(frozen=True)
class Trained:
    """A network that is ready to predict, and what one has to know to do so.

    Attributes:
        network: in evaluation mode, float32, on the CPU.
        in_channels: of its images.
        smallest, step: it takes the heights and widths ``smallest + k * step``, pixels.
        margin: by how many pixels its output is smaller than its input.
        about: what else is known of it, by name.
    """

    network: nn.Module
    in_channels: int
    smallest: int
    step: int
    margin: int
    about: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.eval()


def of_file(path: Path, *, padding: Padding) -> Trained:
    """Return the U-Net of a checkpoint file, ours or of the milesial family.

    Raises:
        UserError: if the file holds anything else.
    """
    checkpoint = checkpoints.load(path)
    model = checkpoints.build_unet(checkpoint, padding=padding, source=path)
    values = checkpoint.mask_values
    about = {} if values is None else {"mask_values": json.dumps(values)}
    in_channels = model.get_parameter("inc.double_conv.0.weight").shape[1]
    return Trained(model, in_channels, *_unet_sizes(model), model.margin, about)


def of_trial(
    store: Store, *, arm: str | None = None, seed: int | None = None, key: str | None = None
) -> Trained:
    """Return the network that a trial of an experiment trained.

    Args:
        store: of the experiment.
        arm: label of the trial's arm; any if None, as for ``seed`` and ``key``.
        seed: of the trial.
        key: of the trial, or how it begins.

    Raises:
        UserError: if that is no single trial, or it is not finished, or its weights were not kept.
    """
    record = _finished(store, _chosen(store, arm=arm, seed=seed, key=key))
    result = record.accuracy
    if result is None or result.checkpoint is None:
        raise UserError(
            f"{_named(record)}: its weights were not kept; set evaluate.checkpoint: true, "
            "and run it again"
        )
    source = store.folder / result.checkpoint
    weights: Weights = safetensors.torch.load(store.blob(result.checkpoint))
    settings = _settings(store, record)
    network, in_channels = _network(settings, weights, len(result.classes), source=source)
    about = {
        "classes": json.dumps(result.classes, ensure_ascii=False),
        "palette": json.dumps(result.palette),
        "input": f"pixel / 127.5 - 1{', RGB' if in_channels == 3 else ''}",  # batches.to_input
        "experiment": record.experiment,
        "arm": record.label,
        "seed": str(record.seed),
        "trial": record.key,
    }
    margin = models.margin(settings)
    return Trained(network, in_channels, *_sizes(network, settings), margin, about)


def _chosen(store: Store, *, arm: str | None, seed: int | None, key: str | None) -> dict[str, Any]:
    """Return the one planned trial that is meant."""
    name = store.folder.name
    left = labelled(store.read_plan() or {"trials": []})
    for what, wanted, of in (("label", arm, "arm"), ("seed", seed, "seed")):
        if wanted is None:
            continue
        known = dict.fromkeys(str(trial[what]) for trial in left)
        left = [trial for trial in left if trial[what] == wanted]
        if not left:
            raise UserError(f"{name}: no {of} {wanted!r}{nearest(str(wanted), known)}")
    if key is not None:
        left = [trial for trial in left if trial["key"].startswith(key)]
    if not left:
        raise UserError(f"{name}: no such trial")
    for what, option in (("label", "--arm"), ("seed", "--seed"), ("key", "--trial")):
        several = list(dict.fromkeys(str(trial[what]) for trial in left))
        if len(several) > 1:
            raise UserError(f"{name}: say which trial with {option}: {', '.join(several)}")
    return left[0]


def _finished(store: Store, trial: Mapping[str, Any]) -> Record:
    label = f"{store.folder.name}: {trial['label']}, seed {trial['seed']}"
    if not store.has(trial["key"]):
        raise UserError(f"{label}: not measured yet")
    record = store.read(trial["key"])
    if record.measure != "accuracy":
        raise UserError(f"{label}: measures {record.measure}, and trains nothing that is kept")
    if record.status != "done":
        raise UserError(f"{label}: {record.status}: {record.reason}")
    return record


def _settings(store: Store, record: Record) -> ModelSettings:
    """Return which network a trial has; its trained weights take the place of pretrained ones."""
    try:
        settings = ModelSettings.model_validate(dict(record.settings["model"]))
    except ValidationError as error:
        file = store.record_file(record.key)
        raise UserError(f"{file}: its network is of another version of this code") from error
    return settings.model_copy(update={"encoder_weights": None})


def _network(
    settings: ModelSettings, weights: Weights, num_classes: int, *, source: object
) -> tuple[nn.Module, int]:
    """Build a network with its weights, and say how many channels its first convolution takes."""
    network = models.build(settings, 3, num_classes)
    first = next(name for name, value in network.state_dict().items() if value.ndim == 4)
    in_channels = weights[first].shape[1] if first in weights else 3
    if in_channels != 3:
        network = models.build(settings, in_channels, num_classes)
    checkpoints.load_into(network, weights, source=source)
    return network, in_channels


def _sizes(network: nn.Module, settings: ModelSettings) -> tuple[int, int]:
    """Return the smallest side that a network takes, and the step to the next one."""
    if isinstance(network, UNet):
        return _unet_sizes(network)
    step, smallest = models.size_multiple(settings), models.nearest_sizes(settings, 1)[1]
    return smallest if models.margin(settings) else -(-smallest // step) * step, step


def _unet_sizes(model: UNet) -> tuple[int, int]:
    """Padded, it evens out sides that are odd on the way down; unpadded, it cannot."""
    lowest: int = 2**model.depth
    if model.padding == "same":
        return lowest, 1
    return nearest_valid_sizes(1, model.depth)[1], lowest


def _named(record: Record) -> str:
    return f"{record.experiment}: {record.label}, seed {record.seed}"
