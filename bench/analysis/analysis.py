"""An experiment with its statistics, each computed once, when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from bench.analysis.effects import images, runs, summary
from bench.analysis.effects.images import ImageInterval
from bench.analysis.effects.runs import Runs
from bench.analysis.effects.summary import Effects
from bench.analysis.scales import Scale, scale_of
from bench.store import loading
from bench.store.folder import Store
from bench.store.frame import Results


@dataclass(frozen=True, eq=False)
class Analysis(Results):
    """Results, and what they show."""

    @property
    def scale(self) -> Scale:
        """What scores are compared by: differences or ratios."""
        return scale_of(self.measurement)

    @cached_property
    def runs(self) -> Runs:
        """The score of every run, by arm and seed."""
        return runs.runs(self)

    @cached_property
    def effects(self) -> Effects:
        """Every comparison with the baseline, with a verdict on each."""
        return summary.effects(self, self.runs, self.scale)

    @cached_property
    def image_intervals(self) -> dict[str, ImageInterval]:
        """Arm → interval of its score over other images than those evaluated."""
        return images.image_intervals(self)


def analyse(results: Results) -> Analysis:
    """Return results with their statistics."""
    return Analysis(**vars(results))


def load(store: Store) -> Analysis:
    """Read a results folder.

    Raises:
        UserError: if it holds no experiment, or its plan is damaged.
    """
    return analyse(loading.load(store))
