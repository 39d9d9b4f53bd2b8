"""What is planned of an experiment now; later trials may depend on what these give."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from bench.experiment.trial import Trial
from bench.store.looks import ReportedLook
from bench.store.plans import Tuning


@dataclass(frozen=True)
class Stage:
    """What is planned now."""

    reported: list[Trial]  # those that are compared
    others: list[Trial] = field(default_factory=list)  # of tuning, and untuned arms
    tuning: Tuning | None = None
    name: str = ""
    more: int = 0  # trials that later stages may add at most
    more_when: str = ""  # what decides how many
    look: ReportedLook | None = None  # the last declared look that took place
    said: str = ""  # what it decided

    @property
    def trials(self) -> list[Trial]:
        """All trials, each once: those of tuning first."""
        return list({trial.key: trial for trial in [*self.others, *self.reported]}.values())

    def complete(self, left: Collection[str]) -> list[int]:
        """Return the seeds of which no trial that is reported is among those left, by key."""
        waiting = {trial.seed for trial in self.reported if trial.key in left}
        seeds = dict.fromkeys(trial.seed for trial in self.reported)
        return [seed for seed in seeds if seed not in waiting]

    def searched(self) -> Iterator[str]:
        """Yield a line for each setting that is tuned: over which values."""
        tuning = self.tuning
        if tuning is None:
            return
        for name in tuning.grid:
            found = sorted({float(trial.values[name]) for trial in tuning.trials})
            seeds = ", ".join(map(str, tuning.seeds))
            seeds += f", in turn for each of {tuning.repeat} reported" * (tuning.repeat > 1)
            values = ", ".join(f"{value:g}" for value in found)
            yield f"{name} is tuned for every arm alike: {values}; seeds {seeds}"

    def chosen(self) -> Iterator[str]:
        """Yield a line for each arm that is tuned: the values that scored best."""
        found: dict[str, list[str]] = {}
        for one in self.tuning.chosen if self.tuning else ():
            values = ", ".join(f"{name} = {value:g}" for name, value in one.values.items())
            edge = ", at the end of the values tried" if one.at_edge else ""
            seed = "" if one.seed is None else f" (seed {one.seed})"
            found.setdefault(one.label, []).append(f"{values}{edge}{seed}")
        for label, values_of in found.items():
            yield f"chosen for {label}: {'; '.join(values_of)}"
