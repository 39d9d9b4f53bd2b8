"""The two kinds of measurement: training a network and scoring it, or timing it.

Whatever differs between the two and is no code of its own stands here, so that nothing else asks
which of them an experiment is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """How one kind of measurement is made and compared."""

    name: str  # as `measure` in an experiment file gives it
    module: str  # whose `measure` function performs a trial; a trial's code digest covers it
    metric: str  # what experiments are about unless they say otherwise
    replicates: tuple[int, ...]  # the seeds unless a file names some
    replicate: str  # what tells the trials of one arm apart, in words
    tolerance: float  # how much worse `compare` lets an arm get: of a score, or a share of a speed
    trains: bool = False  # whether a trial trains a network, with epochs, classes and predictions
    fresh_process: bool = False  # whether a trial needs a process that did nothing before
    exclusive: bool = False  # whether a trial needs a device for itself
    by_device: bool = False  # whether results of different devices are never compared
    # Whether trials run in balanced orders within each replicate, so that what changes slowly,
    # such as the machine's temperature, affects every arm alike.
    shuffled: bool = False
    ratios: bool = False  # whether scores are compared by ratios, on logarithms, or by differences
    results: frozenset[str] = frozenset()  # states, beside `done`, that answer what was asked


MEASUREMENTS: Mapping[str, Measurement] = {
    "accuracy": Measurement(
        name="accuracy",
        module="bench.execution.accuracy",
        metric="mean_iou",
        replicates=(0, 1, 2),
        replicate="seed",
        tolerance=0.01,
        trains=True,
    ),
    "throughput": Measurement(
        name="throughput",
        module="bench.profiling.throughput",
        metric="images_per_second",
        replicates=(0, 1, 2, 3, 4),
        replicate="repetition",
        tolerance=0.05,
        fresh_process=True,
        exclusive=True,
        by_device=True,
        shuffled=True,
        ratios=True,
        results=frozenset({"oom"}),  # that a network does not fit is an answer to how fast it is
    ),
}
