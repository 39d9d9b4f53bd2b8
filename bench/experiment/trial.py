"""What one trial is: its settings, resolved and checked against each other, and a seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Discriminator, Field, Tag, model_validator

from bench.components.names import Component, find, is_known
from bench.data import registry, tune_split
from bench.data.dataset import Dataset, DatasetSettings
from bench.data.tune_split import TUNE
from bench.evaluation.evaluate import EvaluateSettings
from bench.measurements import MEASUREMENTS
from bench.settings import Settings
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.step import TrainSettings

if TYPE_CHECKING:
    AnyDataset = DatasetSettings
else:  # the settings of whichever dataset `name` names
    _KINDS = {name: registry.module(name).Settings for name in registry.names()}
    _KINDS["[package.module:name]"] = registry.OwnSettings

    def _tag(values: Any) -> Any:
        name = values.get("name") if isinstance(values, dict) else getattr(values, "name", None)
        if not isinstance(name, str) or name in registry.names():
            return name
        return "[package.module:name]" if is_known("dataset", name) else name

    AnyDataset = Annotated[
        Union[tuple(Annotated[kind, Tag(name)] for name, kind in _KINDS.items())],  # noqa: UP007
        Discriminator(_tag),
    ]


_BATCH = ("crop_size", "crop_of", "batch_size", "threads")
_NETWORK = (*_BATCH, "precision", "channels_last", "compile", "cudnn_benchmark")
WITH_IMAGES = ("loader", "train_step")  # passes for which the dataset's images are read
READS: dict[str, tuple[str, ...]] = {  # pass → settings of training that it reads
    "forward": _NETWORK,
    "forward+backward": (*_NETWORK, "loss", "loss_options"),
    "train_step": tuple(
        name for name in TrainSettings.model_fields if name not in ("epochs", "patience")
    ),
    "loader": (
        *_BATCH,
        "small_images",
        "augmentation",
        "augmentation_options",
        "loader",
        "border_weights",
        "normalisation",
    ),
}


class TimingSettings(Settings):
    """What is timed in a throughput trial, and for how long."""

    work: Literal["forward", "forward+backward", "train_step", "loader"] = Field(
        "train_step",
        alias="pass",
        description="prediction, gradients, a whole step of training, or loading a batch",
    )
    window: float = Field(0.5, gt=0, le=60, description="seconds that a window lasts at least")
    windows: int = Field(10, ge=3, le=1000, description="windows measured at least")
    standard_error: float = Field(
        0.005,
        gt=0,
        lt=1,
        description="measuring ends when the standard error of the median time of a call is no "
        "larger than this share of it",
    )
    warm_up: float = Field(20.0, gt=0, description="seconds after which warming up is given up")
    measuring: float = Field(30.0, gt=0, description="seconds after which measuring ends anyway")
    workers: int = Field(0, ge=0, description="loader processes (loader)")


class TrialSettings(Settings):
    """Everything that decides the result of a trial, but for the seed."""

    data: AnyDataset
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    timing: TimingSettings = TimingSettings()

    @model_validator(mode="after")
    def _crop_fits_the_network(self) -> TrialSettings:
        architecture, crop = models.architecture(self.model), self.train.crop_size
        size = self.train.input_size(architecture.margin)
        fitting = dict.fromkeys(architecture.nearest_sizes(size))
        if size not in fitting:
            sizes = " and ".join(str(fits - size + crop) for fits in fitting)
            raise ValueError(f"train.crop_size: {crop} {architecture.misfit} {sizes}")
        return self

    @property
    def input_size(self) -> int:
        """Height and width of what the network takes in, in training and of a tile."""
        return self.train.input_size(models.architecture(self.model).margin)

    def effective(self, measure: str) -> dict[str, Any]:
        """Return the settings that change the result, as JSON: what a trial's key is made of."""
        if not MEASUREMENTS[measure].trains:
            return self._timed()
        return {
            "data": self.data.model_dump(mode="json"),
            "model": self.model.effective(),
            "train": self.train.effective(),
            "evaluate": self.evaluate.effective(stops=self.train.patience is not None),
        }

    def components(self, measure: str) -> tuple[Component, ...]:
        """Return the components that the trial uses, and whose code decides its result."""
        trains = MEASUREMENTS[measure].trains
        read = READS["train_step" if trains else self.timing.work]
        used = [("dataset", self.data.name)]
        if trains or self._reads_network():
            used.append(("network", self.model.name))
        if "loss" in read:
            used.append(("loss", self.train.loss))
        if "augmentation" in read and isinstance(self.train.augmentation, str):
            used.append(("augmentation", self.train.augmentation))
        if trains:
            used += [("metric", name) for name in self.evaluate.metrics]
        return tuple(find(kind, name) for kind, name in used)

    def dataset(self, root: Path, seed: int | None = None) -> Dataset:
        """Open the trial's dataset; with a seed, as a trial with this seed has it.

        ``root`` is the folder of the datasets. UserError as of ``registry.load``.
        """
        found = registry.load(self.data if seed is None else self.data.for_seed(seed), root)
        return tune_split.cut(found) if self.evaluate.split == TUNE else found

    def splits(self, measure: str) -> tuple[str, ...]:
        """Return the splits of the dataset whose images the trial may read."""
        if MEASUREMENTS[measure].trains and self.evaluate.split == TUNE:
            return ("train", TUNE)
        if MEASUREMENTS[measure].trains:
            return tuple(dict.fromkeys(("train", "val", self.evaluate.split)))
        return ("train",) if self.timing.work in WITH_IMAGES else ()

    def _timed(self) -> dict[str, Any]:
        """Return what the chosen pass reads; channels and classes are in the data's fingerprint."""
        work, train = self.timing.work, self.train.effective()
        unread = set() if work == "loader" else {"workers"}
        read = None if work in WITH_IMAGES else {"name"}
        effective = {
            "data": self.data.model_dump(mode="json", include=read),
            "train": {name: train[name] for name in READS[work] if name in train},
            "timing": self.timing.model_dump(mode="json", exclude=unread),
        }
        if self._reads_network():
            effective["model"] = self.model.effective()
        return effective

    def _reads_network(self) -> bool:
        """Tell whether a timed pass depends on the network; its margin widens what is loaded."""
        return self.timing.work != "loader" or models.architecture(self.model).margin > 0


@dataclass(frozen=True)
class Arm:
    """One combination of levels."""

    label: str
    levels: Mapping[str, Any]  # what makes it differ from the others, by dotted setting
    settings: TrialSettings
    effective: Mapping[str, Any]  # those settings that change the result, as JSON


@dataclass(frozen=True)
class Trial:
    """One arm with one seed. ``provenance`` holds digests of data, measuring code, versions.

    ``one_split`` tells whether its data are those of the split that it is scored on, and no others.
    """

    key: str
    arm: Arm
    seed: int
    provenance: Mapping[str, str]
    one_split: bool = False
