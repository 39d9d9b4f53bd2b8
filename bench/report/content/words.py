"""Words that differ between the two kinds of measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """How one kind of experiment is reported.

    Attributes:
        run: what one trial is.
        runs: what several of one arm are, and how they differ.
        dot: what a dot in a figure stands for.
        made: how an arm comes by its scores.
        chance: what may move a score beside the setting.
    """

    run: str
    runs: str
    dot: str
    made: str
    chance: str


KINDS: Mapping[str, Kind] = {
    "accuracy": Kind(
        run="training run",
        runs="training runs that differ in their seed alone",
        dot="one trained network",
        made="trained",
        chance="the seed",
    ),
    "throughput": Kind(
        run="run",
        runs="repetitions, each in a process of its own",
        dot="one repetition",
        made="measured",
        chance="the moment",
    ),
}
