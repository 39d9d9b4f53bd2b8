"""What one trial is: its settings, resolved and checked against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, model_validator

from bench import datasets
from bench.datasets import DatasetSettings
from bench.evaluate import EvaluateSettings
from bench.models import ModelSettings
from bench.settings import Settings
from bench.train import TrainSettings
from unet.model import nearest_valid_sizes

if TYPE_CHECKING:
    AnyDataset = DatasetSettings
else:  # the settings of whichever dataset `name` names
    AnyDataset = Annotated[
        Union[tuple(datasets.module(name).Settings for name in datasets.names())],  # noqa: UP007
        Discriminator("name"),
    ]


class TrialSettings(Settings):
    """Everything that decides the result of a trial, but for the seed."""

    data: AnyDataset
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @model_validator(mode="after")
    def _crop_fits_the_network(self) -> TrialSettings:
        model, crop = self.model, self.train.crop_size
        if model.name == "unet" and model.padding == "valid":
            sizes = nearest_valid_sizes(crop, model.depth)
            if crop not in sizes:
                raise ValueError(
                    f"train.crop_size: {crop} does not fit an unpadded U-Net of depth "
                    f"{model.depth}; the nearest sizes that do: {' and '.join(map(str, sizes))}"
                )
        elif model.name == "unet" and crop < 2**model.depth:
            raise ValueError(
                f"train.crop_size: {crop} is too small for {model.depth} poolings; "
                f"at least {2**model.depth}"
            )
        return self

    def effective(self) -> dict[str, Any]:
        """Return the settings that change the result, as JSON: what a trial's key is made of."""
        return {
            "data": self.data.model_dump(mode="json"),
            "model": self.model.effective(),
            "train": self.train.model_dump(mode="json"),
            "evaluate": self.evaluate.model_dump(mode="json"),
        }
