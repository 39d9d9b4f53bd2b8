"""A network with its trained weights, of a finished trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import safetensors.torch
from pydantic import ValidationError
from torch import nn

from bench.components.names import is_path
from bench.data.normalisation import Normalisation
from bench.errors import UserError, nearest
from bench.measurements import MEASUREMENTS
from bench.settings import validate
from bench.store.folder import Store
from bench.store.plans import PlannedTrial
from bench.store.records import Record
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.weights import Weights, load_into


@dataclass(frozen=True)
class Trained:
    """A network that is ready to predict, and what one has to know to do so.

    It takes images whose heights and widths are ``smallest + k * step``, in pixels.
    """

    network: nn.Module  # in evaluation mode, float32, on the CPU
    in_channels: int
    smallest: int
    step: int
    margin: int  # by how many pixels its output is smaller than its input
    about: Mapping[str, str] = field(default_factory=dict)
    normalisation: Normalisation | None = None  # of a trial's network: what its input is made by

    def __post_init__(self) -> None:
        self.network.eval()


def of_trial(
    store: Store, *, arm: str | None = None, seed: int | None = None, key: str | None = None
) -> Trained:
    """Return the network that a trial of an experiment trained.

    The trial is the one with this ``arm`` (its label), ``seed``, and a key that begins so.
    UserError if that is no single trial, or it is not finished, or its weights were not kept.
    """
    return of_record(store, finished(store, arm=arm, seed=seed, key=key))


def finished(
    store: Store, *, arm: str | None = None, seed: int | None = None, key: str | None = None
) -> Record:
    """Return the record of a trial that trained a network; raises as ``of_trial``."""
    return _finished(store, _chosen(store, arm=arm, seed=seed, key=key))


def of_record(store: Store, record: Record) -> Trained:
    """Return the network that a finished trial trained, whose weights ``store`` holds.

    UserError if they were not kept, are damaged or do not fit the network.
    """
    result = record.accuracy
    if result is None or result.checkpoint is None:
        which = f"{record.experiment}: {record.label}, seed {record.seed}"
        file = store.record_file(record.key)
        mend = f"to train it again, set evaluate.checkpoint: true, remove {file} and run"
        raise UserError(f"{which}: its weights were not kept; {mend}")
    source = store.folder / result.checkpoint
    weights: Weights = safetensors.torch.load(store.blob(result.checkpoint))
    settings = _settings(store, record)
    network, in_channels = _network(settings, weights, len(result.classes), source=source)
    normalisation = Normalisation(**({} if result.input is None else result.input.model_dump()))
    said = [normalisation.formula(), *["RGB"] * (in_channels == 3)]
    said += ["of 16 bits"] * (normalisation.bits == 16)
    about = {
        "classes": json.dumps(result.classes, ensure_ascii=False),
        "palette": json.dumps(result.palette),
        "input": ", ".join(said),
        "experiment": record.experiment,
        "arm": record.label,
        "seed": str(record.seed),
        "trial": record.key,
    }
    margin = models.architecture(settings).margin
    sizes = _sizes(settings)
    return Trained(network, in_channels, *sizes, margin, about, normalisation)


def _chosen(store: Store, *, arm: str | None, seed: int | None, key: str | None) -> PlannedTrial:
    name, plan = store.folder.name, store.read_plan()
    trials = list(plan.labelled()) if plan else []
    for what, wanted, of in (("label", arm, "arm"), ("seed", seed, "seed")):
        if wanted is not None:
            known = dict.fromkeys(str(getattr(trial, what)) for trial in trials)
            trials = [trial for trial in trials if getattr(trial, what) == wanted]
            if not trials:
                raise UserError(f"{name}: no {of} {wanted!r}{nearest(str(wanted), known)}")
    trials = [trial for trial in trials if trial.key.startswith(key or "")]
    if not trials:
        raise UserError(f"{name}: no such trial")
    for what, option in (("label", "--arm"), ("seed", "--seed"), ("key", "--trial")):
        several = dict.fromkeys(str(getattr(trial, what)) for trial in trials)
        if len(several) > 1:
            raise UserError(f"{name}: say which trial with {option}: {', '.join(several)}")
    return trials[0]


def _finished(store: Store, trial: PlannedTrial) -> Record:
    label = f"{store.folder.name}: {trial.label}, seed {trial.seed}"
    if not store.has(trial.key):
        raise UserError(f"{label}: not measured yet")
    record = store.read(trial.key)
    if not MEASUREMENTS[record.measure].trains:
        raise UserError(f"{label}: measures {record.measure}, and trains nothing that is kept")
    if record.status != "done":
        raise UserError(f"{label}: {record.status}: {record.reason}")
    return record


def _settings(store: Store, record: Record) -> ModelSettings:
    """Return which network a trial has; its trained weights take the place of pretrained ones."""
    plan = store.read_plan()
    folder = store.folder / plan.folder if plan and plan.folder else None
    if is_path(str(dict(record.settings["model"]).get("name"))):
        source = store.record_file(record.key)
        return validate(ModelSettings, record.settings["model"], source=source, folder=folder)
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
    load_into(network, weights, source=source)
    return network, in_channels


def _sizes(settings: ModelSettings) -> tuple[int, int]:
    """Return the smallest side that a network takes, and the step to the next one."""
    architecture = models.architecture(settings)
    if architecture.sides is not None:
        return architecture.sides
    step, smallest = architecture.size_multiple, architecture.nearest_sizes(1)[1]
    return smallest if architecture.margin else -(-smallest // step) * step, step
