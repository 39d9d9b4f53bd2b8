"""What a trial leaves, by kind of measurement; the JSON Schema of records is made of these classes.

A change of a key here is a change of what is stored: `bench.store.files.SCHEMA` counts them, and
`bench.store.upgrade` brings older files up to date when they are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.store import files
from bench.store.files import Damaged

S = TypeVar("S", bound="Stored")
Scores = Mapping[str, float | int | list[float | None] | None]


class Stored(BaseModel):
    """The base of what is stored: frozen, without unknown keys, numbers that JSON has."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        serialize_by_alias=True,
        validate_by_name=True,
    )


def validated(kind: type[S], content: bytes, path: Path) -> S:
    """Build what was stored from bytes whose checksum is right, which need not make it valid."""
    try:
        return kind.model_validate_json(files.current(content, path), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        why = f"{where}: {first['msg']}".removeprefix(": ")
        raise Damaged(path, f"damaged ({why})") from None


class Example(Stored):
    """An image of which a trial keeps pictures."""

    name: str
    why: Literal["chosen", "worst", "best"] = Field(
        "chosen", description="the same images in every trial, or this trial's worst or best"
    )
    iou: float | None = Field(
        None, description="mean IoU of the image, over the classes that it has or is given"
    )
    image: str = Field(description="blob of the image")
    truth: str = Field(description="blob of its labels, 8 bits, 255 = void")
    prediction: str = Field(description="blob of the predicted labels")


class Memory(Stored):
    """Peaks in bytes; None where the device does not tell, or they would be another's."""

    allocated_bytes: int | None = Field(None, description="by torch, on CUDA")
    reserved_bytes: int | None = Field(None, description="by torch, on CUDA")
    process_bytes: int | None = Field(None, description="largest resident set of the process")


class AccuracyResult(Stored):
    """What is known of a network that was trained and scored."""

    classes: tuple[str, ...] = Field(description="names by label")
    palette: tuple[tuple[int, int, int], ...] = Field(description="RGB colours by label")
    split: str = Field(description="evaluated at the end")
    watched_split: str | None = Field(None, description="scored during training, never test")
    chosen_epoch: int = Field(description="whose weights were evaluated")
    metrics: Scores = Field(description="of the split; None where undefined; lists are by class")
    counts: Mapping[str, int | float] = Field(description="images, parameters, steps, FLOPs")
    training_seconds: float | None = Field(
        None, description="of all epochs, also those before an interruption"
    )
    memory: Memory | None = Field(None, description="peaks of training on CUDA")
    examples: tuple[Example, ...] = ()
    checkpoint: str | None = Field(None, description="blob of the weights, as safetensors")
    note: str | None = Field(None, description="what a reader of these scores has to know")

    @property
    def blobs(self) -> list[str]:
        """Names of all pictures and checkpoints."""
        pictures = [name for e in self.examples for name in (e.image, e.truth, e.prediction)]
        return pictures if self.checkpoint is None else [*pictures, self.checkpoint]


class WarmUp(Stored):
    """What came before the measured windows."""

    settled: bool
    windows: int
    calls_in_window: int


class Peaks(Stored):
    """The fastest matrix product and the fastest copy that the device was seen to do."""

    flops_per_second: float
    bytes_per_second: float


class LayerLoss(Stored):
    """A layer whose forward pass takes longer than its roofline bound."""

    name: str
    lost_ms: float


class Validity(Stored):
    """Whether something disturbed the measurement, and what."""

    valid: bool
    reasons: tuple[str, ...] = ()


class ThroughputResult(Stored):
    """What is known of a pass that was timed; times of a call are medians over windows."""

    work: str = Field(alias="pass", description="what was timed")
    images_per_second: float
    milliseconds: float = Field(description="wall time of a call, median over windows")
    milliseconds_low: float = Field(description="lower quartile")
    milliseconds_high: float = Field(description="upper quartile")
    busy_milliseconds: float | None = Field(None, description="CUDA: by the device's own events")
    host_bound: str | None = Field(None, description="how long the device waits for the host")
    first_call_seconds: float = Field(description="with compiling and first allocations")
    compile_seconds: float | None = None
    compile_cached: bool | None = None
    warm_up: WarmUp
    memory: Memory
    parts_ms: Mapping[str, float] | None = Field(None, description="of a training step")
    parts_share: Mapping[str, float] | None = None
    roofline_ms: float | None = Field(None, description="roofline bound; None for the loader")
    roofline_share: float | None = Field(None, description="bound over milliseconds")
    peaks: Peaks | None = None
    gflops: float | None = Field(None, description="10⁹ operations of a call")
    slowest_layers: tuple[LayerLoss, ...] = ()
    validity: Validity
    states: Mapping[str, Any] = Field(description="of the machine: first, before, during, after")
    metrics: Scores
    counts: Mapping[str, int | float | None]


Result = AccuracyResult | ThroughputResult
AnyResult = Annotated[AccuracyResult | ThroughputResult | None, Field(union_mode="left_to_right")]
