"""What is stored beside a record: the history of a trial, and the counts that scores come from."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from bench.store.records import Status
from bench.store.stored import NotNegative, Numbers, Pixels, Positive, Scores, Stored, Whole


class Epoch(Stored):
    """An epoch of a training; ``metrics`` are of the watched split, where it was evaluated."""

    epoch: Whole
    train_loss: float | None = None
    learning_rate: NotNegative | None = None
    seconds: NotNegative | None = None
    metrics: Numbers = Field({})


class Confusion(Stored):
    """Confusion matrices by image: ``[truth, prediction, pixels]`` of every cell that is not 0."""

    images: tuple[str, ...]
    entries: list[list[tuple[Whole, Whole, Pixels]]]

    @model_validator(mode="after")
    def _is_by_image(self) -> Confusion:
        if len(set(self.images)) < len(self.images):
            raise ValueError("images: two have the same name")
        if len(self.entries) != len(self.images):
            raise ValueError(f"entries: {len(self.entries)} for {len(self.images)} images")
        return self


class Soft(Stored):
    """Sums of probabilities by image and class: (N, C) each."""

    intersection: list[list[NotNegative]]
    predicted: list[list[NotNegative]]


class OfImage(Stored):
    """Scores of an image that no confusion matrix holds."""

    boundary: list[tuple[Whole, Pixels, Pixels]] = Field(
        description="[class, intersection, union] in pixels"
    )
    scores: Mapping[str, float | None] = Field({}, description="the dataset's own")


class Layer(Stored):
    """A layer of a network that was timed."""

    name: str
    kind: str | None
    gflops: NotNegative
    megabytes: NotNegative
    roofline_ms: NotNegative
    forward_roofline_ms: NotNegative
    forward_ms: NotNegative | None


class Attempt(Stored):
    """What an earlier attempt at the trial gave."""

    started: str
    status: Status
    reason: str | None = None
    metrics: Scores = Field({})


class Details(Stored):
    """The details of a trial; which there are depends on what was measured, and how it ended."""

    history: tuple[Epoch, ...] = ()
    confusion: Confusion | None = None
    soft: Soft | None = None
    per_image: Mapping[str, OfImage] = Field({})
    train_pixels: tuple[Pixels, ...] | None = None
    wall_ms: tuple[Positive, ...] = ()
    busy_ms: tuple[NotNegative, ...] = ()
    warm_up_ms: tuple[NotNegative, ...] = ()
    layers: tuple[Layer, ...] = ()
    earlier: tuple[Attempt, ...] = ()

    @model_validator(mode="after")
    def _epochs_follow_each_other(self) -> Details:
        epochs = [row.epoch for row in self.history]
        if epochs != sorted(set(epochs)):
            raise ValueError("history: epochs do not follow each other")
        return self
