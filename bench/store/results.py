"""What a trial leaves, by kind of measurement; the JSON Schema of records is made of these classes.

A change of a key here is a change of what is stored: `bench.store.files.SCHEMA` counts them, and
`bench.store.upgrade` brings older files up to date when they are read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from bench.metrics import METRICS
from bench.store.stored import (
    Blob,
    Json,
    Key,
    NotNegative,
    Numbers,
    Positive,
    Scores,
    Share,
    Stored,
    Whole,
)

_CLOSE = 1e-9  # how far the same number may be apart, computed in another order

Split = Literal["train", "val", "test", "tune"]
Colour = Annotated[int, Field(ge=0, le=255)]


def agree(one: Any, other: Any) -> bool:
    """Tell whether two numbers, or None, are the same but for rounding."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)


class Example(Stored):
    """An image of which a trial keeps pictures."""

    name: str
    why: Literal["chosen", "worst", "best"] = Field(
        "chosen", description="the same images in every trial, or this trial's worst or best"
    )
    iou: Share | None = Field(
        None, description="mean IoU of the image, over the classes that it has or is given"
    )
    image: Blob | None = Field(None, description="blob of the image; null: it was not kept")
    truth: Blob | None = Field(None, description="blob of its labels, 8 bits, 255 = void")
    prediction: Blob = Field(description="blob of the predicted labels")

    @property
    def blobs(self) -> list[str]:
        """Names of the pictures that are kept."""
        return [name for name in (self.image, self.truth, self.prediction) if name is not None]


PeakOf = Literal["allocated", "reserved", "process"]


class Memory(Stored):
    """Peaks in bytes; None where the device does not tell, or they would be another's."""

    allocated_bytes: Whole | None = Field(None, description="by torch, on CUDA")
    reserved_bytes: Whole | None = Field(None, description="by torch, on CUDA")
    process_bytes: Whole | None = Field(None, description="largest resident set of the process")

    def peak(self, which: PeakOf | None) -> int | None:
        """Return one of the peaks; of older records, which do not say which, the first."""
        if which is None:
            return self.allocated_bytes or self.process_bytes
        kinds = {
            "allocated": self.allocated_bytes,
            "reserved": self.reserved_bytes,
            "process": self.process_bytes,
        }
        return kinds[which]


class Input(Stored):
    """How pixel values became a network's input: (pixel − mean) / std, by channel or for all."""

    bits: Literal[8, 16] = Field(description="of a channel of the images")
    mean: tuple[float, ...] = Field(min_length=1, description="in units of pixel values")
    std: tuple[Positive, ...] = Field(min_length=1)
    span: tuple[NotNegative, NotNegative] = Field(
        description="black and white of augmentations of 16-bit images"
    )
    clipped: bool = Field(description="whether values beyond the span count as its ends")


class Compiled(Stored):
    """What came of compiling a network; torch runs uncompiled what it cannot compile."""

    graphs: Whole = Field(description="that were compiled; 0: the network ran as it is")
    given_up: Whole = Field(description="functions that torch gave up, some after several tries")
    breaks: Whole = Field(description="where a graph ended, and Python went on to the next")
    reasons: tuple[str, ...] = Field((), description="why graphs ended, in torch's words")

    @property
    def problem(self) -> str | None:
        """What ran uncompiled, if anything but single lines did."""
        if self.graphs == 0:
            return "torch compiled nothing of the network"
        return "torch gave up compiling parts of the network" if self.given_up else None


class AccuracyResult(Stored):
    """What is known of a network that was trained and scored."""

    classes: tuple[str, ...] = Field(min_length=1, description="names by label")
    palette: tuple[tuple[Colour, Colour, Colour], ...] = Field(description="RGB colours by label")
    split: Split = Field(description="evaluated at the end")
    watched_split: Split | None = Field(None, description="scored during training, never test")
    chosen_epoch: Whole = Field(description="whose weights were evaluated")
    metrics: Scores = Field(description="of the split; None where undefined; lists are by class")
    counts: Mapping[str, Whole | NotNegative] = Field(
        description="images, parameters, epochs, steps, FLOPs"
    )
    training_seconds: NotNegative | None = Field(
        None, description="of all epochs, also those before an interruption"
    )
    memory: Memory | None = Field(None, description="peaks of training on CUDA")
    compiled: Compiled | None = Field(
        None, description="of a training that was to be compiled; None in older records"
    )
    input: Input | None = Field(
        None, description="how pixels became the input; None in older records: pixel / 127.5 - 1"
    )
    examples: tuple[Example, ...] = ()
    pictures: str | None = Field(None, description="what their pictures show, if not all of them")
    checkpoint: Blob | None = Field(None, description="blob of the weights, as safetensors")
    trained: Key | None = Field(
        None, description="the trial whose stored weights were scored; None: this one trained them"
    )
    note: str | None = Field(None, description="what a reader of these scores has to know")

    @model_validator(mode="after")
    def _is_by_class(self) -> AccuracyResult:
        classes = len(self.classes)
        if len(set(self.classes)) < classes:
            raise ValueError("classes: two have the same name")
        if len(self.palette) != classes:
            raise ValueError(f"palette: {len(self.palette)} colours of {classes} classes")
        for name, value in self.metrics.items():
            if isinstance(value, list) and len(value) != classes:
                raise ValueError(f"metrics.{name}: {len(value)} numbers for {classes} classes")
            if name.startswith("classes_") and isinstance(value, int) and value > classes:
                raise ValueError(f"metrics.{name}: {value} of {classes} classes")
            known = METRICS.get(name)
            if known is not None and known.per_class != isinstance(value, list):
                wanted = "a list by class" if known.per_class else "one number"
                raise ValueError(f"metrics.{name}: {wanted} is wanted")
        return self

    @property
    def blobs(self) -> list[str]:
        """Names of all pictures and checkpoints."""
        pictures = [name for example in self.examples for name in example.blobs]
        return pictures if self.checkpoint is None else [*pictures, self.checkpoint]


class WarmUp(Stored):
    """What came before the measured windows."""

    settled: bool
    windows: Whole
    calls_in_window: Whole
    drift: float | None = Field(
        None, description="by which share its last windows became slower; None in older records"
    )


class Measuring(Stored):
    """Why there are no more windows than were measured."""

    ended: Literal["standard error", "time"] = Field(
        description="because the standard error of the median was small enough, or time was up"
    )
    standard_error: NotNegative = Field(description="of the median, as a share of it")
    wanted: Positive = Field(description="standard error at which measuring was to end")


class CudaGraphs(Stored):
    """Whether a network that was compiled with CUDA graphs ran as such."""

    recorded: bool = Field(description="whether any graph was recorded")
    skipped: Whole = Field(description="how often torch ran a part without one")


class Peaks(Stored):
    """The fastest matrix product and the fastest copy that the device was seen to do."""

    flops_per_second: Positive
    bytes_per_second: Positive


class LayerLoss(Stored):
    """A layer whose forward pass takes longer than its roofline bound."""

    name: str
    lost_ms: float


class Validity(Stored):
    """Whether something disturbed the measurement, and what."""

    valid: bool
    reasons: tuple[str, ...] = ()
    accepted: tuple[str, ...] = Field((), description="what was, because of --accept-busy")


class ThroughputResult(Stored):
    """What is known of a pass that was timed; times of a call are medians over windows."""

    work: str = Field(alias="pass", description="what was timed")
    images_per_second: Positive
    milliseconds: Positive = Field(description="wall time of a call, median over windows")
    milliseconds_low: Positive = Field(description="lower quartile")
    milliseconds_high: Positive = Field(description="upper quartile")
    busy_milliseconds: Positive | None = Field(None, description="CUDA: by the device's own events")
    busy_problem: str | None = Field(None, description="why there are no such times on CUDA")
    host_bound: str | None = Field(None, description="how long the device waits for the host")
    first_call_seconds: NotNegative = Field(description="with compiling and first allocations")
    compile_seconds: NotNegative | None = None
    compile_cached: bool | None = None
    compiled: Compiled | None = Field(
        None, description="what came of compiling; None in older records"
    )
    cuda_graphs: CudaGraphs | None = Field(None, description="of a mode that asks for them")
    warm_up: WarmUp
    measuring: Measuring | None = Field(None, description="None in older records")
    memory: Memory
    peak_of: PeakOf | None = Field(
        None, description="which memory metrics.peak_gigabytes is; None in older records: the first"
    )
    joules_per_image: Positive | None = Field(
        None, description="by NVML's energy counter, of the whole GPU, over the measured windows"
    )
    parts_ms: Mapping[str, NotNegative] | None = Field(None, description="of a training step")
    parts_share: Mapping[str, Share] | None = None
    roofline_ms: NotNegative | None = Field(None, description="roofline bound; None for the loader")
    roofline_share: NotNegative | None = Field(None, description="bound over milliseconds")
    peaks: Peaks | None = None
    gflops: NotNegative | None = Field(None, description="10⁹ operations of a call")
    slowest_layers: tuple[LayerLoss, ...] = ()
    validity: Validity
    states: Mapping[str, Json] = Field(description="of the machine: first, before, during, after")
    metrics: Numbers
    counts: Mapping[str, Whole | NotNegative | None]

    @model_validator(mode="after")
    def _numbers_fit(self) -> ThroughputResult:
        if not self.milliseconds_low <= self.milliseconds <= self.milliseconds_high:
            raise ValueError("milliseconds: not between its quartiles")
        found, batch = self.metrics, self.counts.get("batch_size")
        images = self.images_per_second * self.milliseconds / 1e3
        peak = self.memory.peak(self.peak_of)
        expected = {
            "images_per_second": self.images_per_second,
            "milliseconds": self.milliseconds,
            "roofline_share": self.roofline_share,
            "peak_gigabytes": None if peak is None else peak / 1e9,
            "joules_per_image": self.joules_per_image,
        }
        bound = self.roofline_ms
        for name, one, other in (
            *((f"metrics.{name}", found.get(name), value) for name, value in expected.items()),
            ("images_per_second", images, batch),
            ("roofline_share", self.roofline_share, bound and bound / self.milliseconds),
        ):
            if not agree(one, other):
                raise ValueError(f"{name}: does not fit the other numbers")
        return self


Result = AccuracyResult | ThroughputResult


def _kind(value: Any) -> str:
    timed = isinstance(value, ThroughputResult) or (isinstance(value, Mapping) and "pass" in value)
    return "throughput" if timed else "accuracy"


AnyResult = (
    Annotated[
        Annotated[AccuracyResult, Tag("accuracy")] | Annotated[ThroughputResult, Tag("throughput")],
        Discriminator(_kind),
    ]
    | None
)
