"""The two kinds of measurement: training a network and scoring it, or timing it.

Whatever differs between the two and is no code of its own stands here, so that nothing else asks
which of them an experiment is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """How one kind of measurement is made and compared.

    Attributes:
        name: as ``measure`` in an experiment file gives it.
        module: whose ``measure`` function performs a trial; a trial's code digest covers it.
        metric: what experiments are about unless they say otherwise.
        replicates: the seeds unless a file names some.
        replicate: what tells the trials of one arm apart, in words.
        trains: whether a trial trains a network: it then has epochs, classes and predictions.
        fresh_process: whether a trial needs a process that did nothing before.
        exclusive: whether a trial needs a device for itself.
        shuffled: whether trials run in random order within each replicate, so that what changes
            slowly, such as the machine's temperature, meets every arm alike.
        ratios: whether scores are compared by ratios, on logarithms, or by differences.
        results: the record states, beside ``done``, that answer what was asked.
        tolerance: how much worse `compare` lets an arm get: of a score, or a share of a speed.
    """

    name: str
    module: str
    metric: str
    replicates: tuple[int, ...]
    replicate: str
    trains: bool
    fresh_process: bool
    exclusive: bool
    shuffled: bool
    ratios: bool
    results: frozenset[str]
    tolerance: float


MEASUREMENTS: Mapping[str, Measurement] = {
    "accuracy": Measurement(
        name="accuracy",
        module="bench.execution.accuracy",
        metric="mean_iou",
        replicates=(0, 1, 2),
        replicate="seed",
        trains=True,
        fresh_process=False,
        exclusive=False,
        shuffled=False,
        ratios=False,
        results=frozenset(),
        tolerance=0.01,
    ),
    "throughput": Measurement(
        name="throughput",
        module="bench.profiling.throughput",
        metric="images_per_second",
        replicates=(0, 1, 2, 3, 4),
        replicate="repetition",
        trains=False,
        fresh_process=True,
        exclusive=True,
        shuffled=True,
        ratios=True,
        results=frozenset({"oom"}),  # that a network does not fit is an answer to how fast it is
        tolerance=0.05,
    ),
}
