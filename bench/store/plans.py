"""What an experiment consists of, as ``plan.json`` holds it for reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bench import metrics
from bench.errors import UserError
from bench.store.labels import Labels, same
from bench.store.stored import Json, Key, Positive, Stored, Whole

Levels = Annotated[list[Json], Field(min_length=1)]


class PlannedTrial(Stored):
    """A trial of the plan. Its record has the same key."""

    key: Key
    arm: Mapping[str, Json] = Field(
        description="what makes the arm differ, by dotted setting or factor"
    )
    label: str = Field(description="of the arm")
    seed: Whole
    stale: tuple[str, ...] = Field(
        (), description="what differs, where the record of another version was accepted"
    )

    @property
    def signature(self) -> str:
        """The arm as text, to tell arms apart."""
        return _text(self.arm)


class TuningTrial(Stored):
    """A trial by which settings of an arm are chosen. Its record has the same key."""

    key: Key
    arm: Mapping[str, Json] = Field(description="what makes the arm differ, as of planned trials")
    label: str = Field(description="of the arm")
    seed: Whole
    values: Mapping[str, Json] = Field(description="tuned setting → its value in this trial")


class Tuned(Stored):
    """What tuning chose for an arm."""

    arm: Mapping[str, Json]
    label: str
    values: Mapping[str, Json] = Field(description="tuned setting → the value that scored best")
    at_edge: bool = Field(description="whether that is an end of all values that were tried")
    seed: Whole | None = Field(
        None, description="the reported seed that has these values; null: all of them"
    )


class Tuning(Stored):
    """How settings are tuned: every arm over the same values, with the same seeds."""

    grid: Mapping[str, tuple[float, ...]] = Field(
        description="tuned setting → the values declared, rising"
    )
    seeds: tuple[Whole, ...] = Field(description="none of those that are reported; by repeat")
    repeat: Whole = Field(1, description="how often every arm is tuned, with seeds of its own")
    split: str = Field(description="of images, by whose scores values are chosen")
    extend: Whole = Field(description="how many values may be added beyond an end of the grid")
    trials: tuple[TuningTrial, ...] = Field(description="planned so far, extensions included")
    chosen: tuple[Tuned, ...] = Field((), description="empty until all arms are tuned")
    defaults: tuple[PlannedTrial, ...] = Field(
        (), description="the arms with the values of the file, with the reported seeds"
    )


class Block(Stored):
    """Which part of an experiment on several datasets a plan is."""

    experiment: str = Field(description="name in the file; this plan has that of a dataset added")
    dataset: str = Field(description="what its dataset is called there")
    datasets: tuple[str, ...] = Field(description="all of them, in the order of the file")


class Plan(Stored):
    """An experiment as it was planned; ``trials`` in the order of seeds, then arms."""

    name: str
    question: str = ""
    measure: Literal["accuracy", "throughput"]
    metric: str
    design: Literal["full_factorial", "one_at_a_time"] = "full_factorial"
    factors: Mapping[str, Levels] = Field(
        {}, description="dotted setting → its levels; or a name of several settings → names"
    )
    named_levels: Mapping[str, Mapping[str, Mapping[str, Json]]] = Field(
        {}, description="factor of several settings → name of a level → dotted setting → value"
    )
    baseline: Mapping[str, Json] = {}
    labels: Labels = Field(Labels(), description="what reports call levels, classes and datasets")
    equivalence: Positive | None = None
    pairing: Literal["seed", "none"] = Field("seed", description="whether arms share their seeds")
    image_groups: str | None = Field(
        None, description="regular expression that finds in an image's name which group it is in"
    )
    seeds: tuple[Whole, ...] = Field((), description="of all arms; with looks, those at most")
    looks: tuple[Whole, ...] = Field(
        (), description="numbers of seeds, rising, at which comparisons are decided; empty: at all"
    )
    more: Whole = Field(0, description="trials that may be added at most, for what others give")
    command: str = Field("", description="the line that ran it")
    folder: str | None = Field(
        None,
        description="of components of the user's own, relative to these results; null: none used",
    )
    lower_is_better: bool = Field(
        False, description="whether less of the metric is better, where it is a user's own"
    )
    trials: tuple[PlannedTrial, ...]
    block: Block | None = Field(None, description="of an experiment on several datasets")
    tuning: Tuning | None = Field(
        None, description="``trials`` are of tuned arms once values are chosen, until then defaults"
    )

    @model_validator(mode="after")
    def _metric_is_measured(self) -> Plan:
        try:
            found = metrics.find(self.metric)
        except UserError as error:
            raise ValueError(str(error)) from None
        if found.measure != self.measure:
            raise ValueError(f"metric: measuring {self.measure} does not give {self.metric}")
        return self

    @model_validator(mode="after")
    def _baseline_is_in_the_grid(self) -> Plan:
        for name, levels in self.factors.items():
            if len(set(map(_text, levels))) < len(levels):
                raise ValueError(f"factors.{name}: a level is given twice")
        if self.baseline and self.baseline.keys() != self.factors.keys():
            raise ValueError("baseline: is of other factors than are varied")
        for name, level in self.baseline.items():
            if _text(level) not in map(_text, self.factors[name]):
                raise ValueError(f"baseline.{name}: {level!r} is no level of it")
        return self

    @model_validator(mode="after")
    def _names_tell_levels_apart(self) -> Plan:
        for name, levels in self.factors.items():
            shown = [self.labels.level(name, level) for level in levels]
            if name in self.labels.levels and (twice := same(shown)):
                raise ValueError(f"labels: two levels of {name} are called {twice!r}")
        return self

    @model_validator(mode="after")
    def _every_arm_has_every_seed(self) -> Plan:
        """Refuse keys that occur twice, an arm of two labels, and one with other seeds.

        An arm is measured with all seeds, or with those of a declared look.
        """
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: one is given twice")
        if self.looks and (
            sorted(set(self.looks)) != [*self.looks] or self.looks[-1] != len(self.seeds)
        ):
            raise ValueError("looks: do not rise to the number of all seeds")
        if self.seeds and not self.trials:
            raise ValueError("trials: none, but there are seeds")
        if len({trial.key for trial in self.trials}) < len(self.trials):
            raise ValueError("trials: two have the same key")
        seeds: dict[str, list[int]] = {}
        labels: dict[str, str] = {}
        for trial in self.trials:
            seeds.setdefault(trial.signature, []).append(trial.seed)
            if labels.setdefault(trial.signature, trial.label) != trial.label:
                raise ValueError(f"trials: {trial.label!r} has another label too")
        allowed = [sorted(self.seeds[:count]) for count in self.looks or (len(self.seeds),)]
        for signature, found in seeds.items():
            if sorted(found) not in allowed:
                raise ValueError(f"trials: {labels[signature]!r} has not each of the seeds once")
        return self

    @property
    def higher_is_better(self) -> bool:
        """Whether more of the metric is better."""
        return metrics.find(self.metric).higher_is_better and not self.lower_is_better

    @property
    def everything(self) -> tuple[PlannedTrial | TuningTrial, ...]:
        """All its trials, each once, also those that tuning is made of."""
        tuning = self.tuning
        found: dict[str, PlannedTrial | TuningTrial] = {trial.key: trial for trial in self.trials}
        if tuning is not None:
            found |= {trial.key: trial for trial in tuning.defaults if trial.key not in found}
            found |= {trial.key: trial for trial in tuning.trials}
        return tuple(found.values())

    @property
    def keys(self) -> set[str]:
        """The keys of ``everything``."""
        return {trial.key for trial in self.everything}

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


def _text(level: Any) -> str:
    return json.dumps(level, sort_keys=True)
