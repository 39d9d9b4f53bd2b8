"""The score of every run as a table of arms by seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.analysis.scales import Scale
from bench.analysis.stats import folds
from bench.analysis.stats.blocks import seed_means
from bench.analysis.stats.sample import Sample, describe
from bench.store.frame import Results


@dataclass(frozen=True, eq=False)
class Runs:
    """Scores by arm and seed."""

    scores: dict[str, NDArray[np.float64]]  # label of an arm → (S,), NaN where there is none
    seeds: tuple[int, ...]  # those of the plan, in its order
    overlap: float = 0.0  # n_val / n_train where seeds hold out other images, see ``stats.folds``

    def table(self, labels: Iterable[str]) -> NDArray[np.float64]:
        """Return (R, S) scores of some arms."""
        rows = [self.scores[label] for label in labels]
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(self.seeds))

    def on(self, scale: Scale) -> Runs:
        """Return the same runs with what they are compared by in place of their scores."""
        return replace(self, scores={label: scale.into(v) for label, v in self.scores.items()})

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
        sample = describe(seed_means(table)) if len(table) else describe([])
        return folds.of_mean(sample, self.overlap)


def runs(results: Results, metric: str | None = None) -> Runs:
    """Collect the scores of an experiment, by its own metric or another one."""
    seeds = tuple(dict.fromkeys(int(seed) for seed in results.trials["seed"]))
    scores = {label: np.full(len(seeds), np.nan) for label in results.arms}
    done = results.done
    for arm, seed, value in zip(
        done["arm"], done["seed"], done[metric or results.metric], strict=True
    ):
        scores[arm][seeds.index(int(seed))] = value
    return Runs(scores, seeds, _overlap(results))


def _overlap(results: Results) -> float:
    """Return n_val / n_train if the seeds of an arm were scored on other images; otherwise 0."""
    images: dict[str, set[tuple[str, ...]]] = {}
    for arm, key in zip(results.done["arm"], results.done["key"], strict=True):
        if key in results.counts:
            images.setdefault(arm, set()).add(results.counts[key].names)
    if all(len(names) == 1 for names in images.values()):
        return 0.0
    return float((results.done["evaluated_images"] / results.done["train_images"]).mean())
