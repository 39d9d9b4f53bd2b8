"""The score of every run as a table of arms by seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.scales import Scale
from bench.analysis.stats.blocks import seed_means
from bench.analysis.stats.sample import Sample, describe
from bench.store.frame import Results


@dataclass(frozen=True, eq=False)
class Runs:
    """Scores by arm and seed."""

    scores: dict[str, NDArray[np.float64]]  # label of an arm → (S,), NaN where there is none
    seeds: tuple[int, ...]  # those of the plan, in its order

    def table(self, labels: Iterable[str]) -> NDArray[np.float64]:
        """Return (R, S) scores of some arms."""
        rows = [self.scores[label] for label in labels]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.seeds))

    def on(self, scale: Scale) -> Runs:
        """Return the same runs with what they are compared by in place of their scores."""
        return Runs({label: scale.into(row) for label, row in self.scores.items()}, self.seeds)

    def finished(self, label: str) -> list[float]:
        """Return the scores that an arm has."""
        row = self.scores[label]
        return list(row[~np.isnan(row)].tolist())

    def measured(self, label: str) -> bool:
        """Tell whether an arm has any score."""
        return not bool(np.isnan(self.scores[label]).all())

    def sample(self, labels: Sequence[str]) -> Sample:
        """Summarise arms: a value for each seed, the mean over the arms.

        The seed is the replicate, since arms that share it may be good or bad together. Arms
        without any score are left out.
        """
        table = self.table(label for label in labels if self.measured(label))
        return describe(seed_means(table)) if len(table) else describe([])


def runs(results: Results, metric: str | None = None) -> Runs:
    """Collect the scores of an experiment, by its own metric or another one."""
    seeds = tuple(dict.fromkeys(int(seed) for seed in results.trials["seed"]))
    scores = {label: np.full(len(seeds), np.nan) for label in results.arms}
    done = results.done
    for arm, seed, value in zip(
        done["arm"], done["seed"], done[metric or results.metric], strict=True
    ):
        scores[arm][seeds.index(int(seed))] = value
    return Runs(scores, seeds)
