"""What one trial is: its settings, resolved and checked against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import Discriminator, Field, model_validator

from bench.data import registry
from bench.data.dataset import DatasetSettings
from bench.evaluation.evaluate import EvaluateSettings
from bench.settings import Settings
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.step import TrainSettings

if TYPE_CHECKING:
    AnyDataset = DatasetSettings
else:  # the settings of whichever dataset `name` names
    AnyDataset = Annotated[
        Union[tuple(registry.module(name).Settings for name in registry.names())],  # noqa: UP007
        Discriminator("name"),
    ]


_NETWORK = (
    "crop_size",
    "crop_of",
    "batch_size",
    "precision",
    "channels_last",
    "compile",
    "threads",
)
_LOSS = ("loss", "loss_options")
_LOADER = (
    *("crop_size", "crop_of", "batch_size", "small_images", "augmentation"),
    *("border_weights", "threads"),
)
WITH_IMAGES = ("loader", "train_step")  # passes for which the dataset's images are read
READS: dict[str, tuple[str, ...]] = {  # pass → settings of training that it reads
    "forward": _NETWORK,
    "forward+backward": (*_NETWORK, *_LOSS),
    "train_step": tuple(name for name in TrainSettings.model_fields if name != "epochs"),
    "loader": _LOADER,
}


class TimingSettings(Settings):
    """What is timed in a throughput trial, and for how long."""

    work: Literal["forward", "forward+backward", "train_step", "loader"] = Field(
        "train_step",
        alias="pass",
        description="prediction, gradients, a whole step of training, or loading a batch",
    )
    window: float = Field(0.5, gt=0, le=60, description="seconds that a window lasts at least")
    windows: int = Field(10, ge=3, le=1000, description="windows measured")
    warm_up: float = Field(20.0, gt=0, description="seconds after which warming up is given up")
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
        model, crop = self.model, self.train.crop_size
        size = self.input_size
        fitting = dict.fromkeys(models.nearest_sizes(model, size))
        if size not in fitting:
            sizes = " and ".join(str(fits - size + crop) for fits in fitting)
            raise ValueError(f"train.crop_size: {crop} {models.misfit(model)} {sizes}")
        return self

    @property
    def input_size(self) -> int:
        """Height and width of what the network takes in, in training and of a tile."""
        return self.train.input_size(models.margin(self.model))

    def effective(self, measure: str) -> dict[str, Any]:
        """Return the settings that change the result, as JSON: what a trial's key is made of.

        Args:
            measure: what is measured, a key of ``bench.measurements.MEASUREMENTS``.
        """
        return _EFFECTIVE[measure](self)

    def splits(self, measure: str) -> tuple[str, ...]:
        """Return the splits of the dataset whose images the trial may read."""
        return _SPLITS[measure](self)

    def _trained(self) -> dict[str, Any]:
        return {
            "data": self.data.model_dump(mode="json"),
            "model": self.model.effective(),
            "train": self.train.effective(),
            "evaluate": self.evaluate.model_dump(mode="json"),
        }

    def _timed(self) -> dict[str, Any]:
        """Return what the chosen pass reads.

        Without images, only the dataset's channels and classes count, and they are in its
        fingerprint.
        """
        work, train = self.timing.work, self.train.effective()
        reads = {name: train[name] for name in READS[work] if name in train}
        timing = self.timing.model_dump(mode="json")
        if work != "loader":
            del timing["workers"]
        images = work in WITH_IMAGES
        reads_model = work != "loader" or models.margin(self.model)  # it widens what is loaded
        return {
            "data": self.data.model_dump(mode="json") if images else {"name": self.data.name},
            **({"model": self.model.effective()} if reads_model else {}),
            "train": reads,
            "timing": timing,
        }


def _trained_splits(settings: TrialSettings) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("train", "val", settings.evaluate.split)))


def _timed_splits(settings: TrialSettings) -> tuple[str, ...]:
    return ("train",) if settings.timing.work in WITH_IMAGES else ()


_EFFECTIVE = {"accuracy": TrialSettings._trained, "throughput": TrialSettings._timed}
_SPLITS = {"accuracy": _trained_splits, "throughput": _timed_splits}
