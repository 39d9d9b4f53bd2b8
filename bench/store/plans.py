"""What an experiment consists of, as ``plan.json`` holds it for reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from bench.store.results import Stored


class PlannedTrial(Stored):
    """A trial of the plan. Its record has the same key."""

    key: str
    arm: Mapping[str, Any] = Field(description="what makes the arm differ, by dotted setting")
    label: str = Field(description="of the arm")
    seed: int
    stale: tuple[str, ...] = Field(
        (), description="what differs, where the record of another version was accepted"
    )

    @property
    def signature(self) -> str:
        """The arm as text, to tell arms apart."""
        return json.dumps(self.arm, sort_keys=True)


class Plan(Stored):
    """An experiment as it was planned; ``trials`` in the order of seeds, then arms."""

    name: str
    question: str = ""
    measure: Literal["accuracy", "throughput"]
    metric: str
    design: Literal["full_factorial", "one_at_a_time"] = "full_factorial"
    factors: Mapping[str, list[Any]] = Field({}, description="dotted setting → its levels")
    baseline: Mapping[str, Any] = {}
    equivalence: float | None = None
    seeds: tuple[int, ...] = ()
    command: str = Field("", description="the line that ran it")
    trials: tuple[PlannedTrial, ...]

    def labelled(self) -> tuple[PlannedTrial, ...]:
        """Return the trials, labels numbered where arms share one: ``1``, ``1 (2)``."""
        labels: dict[str, str] = {}  # of the arm of a signature
        used: set[str] = set()
        for trial in self.trials:
            signature, label, number = trial.signature, trial.label, 1
            if signature not in labels:
                while label in used:
                    number += 1
                    label = f"{trial.label} ({number})"
                labels[signature] = label
                used.add(label)
        return tuple(t.model_copy(update={"label": labels[t.signature]}) for t in self.trials)
