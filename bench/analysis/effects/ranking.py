"""How certain the order of the arms is, over further seeds and over other images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.effects.image_intervals import ImageInterval
from bench.analysis.effects.runs import Runs
from bench.analysis.stats.ranks import draws_of_means, middle, rank_shares
from bench.analysis.stats.sample import ALPHA
from bench.store.frame import Results

_SEED = 2021  # of the draws, so that the same store gives the same report
SEEDS, IMAGES = "seeds", "images"


@dataclass(frozen=True, eq=False)
class Ranking:
    """How often each arm has each rank if other seeds, or images, had been drawn."""

    over: str  # ``seeds`` or ``images``
    draws: int
    arms: tuple[str, ...]  # the best mean first
    shares: NDArray[np.float64]  # (K, K) of draws in which an arm (row) has rank 1, 2, … (column)

    def first(self, arm: str) -> float:
        """Return in which share of draws an arm is the best."""
        return float(self.shares[self.arms.index(arm), 0])

    def ranks(self, arm: str) -> tuple[int, int]:
        """Return the first and last rank of an arm in the middle 95 % of draws."""
        return middle(self.shares[self.arms.index(arm)], ALPHA)


def rankings(
    results: Results, runs: Runs, intervals: dict[str, ImageInterval]
) -> tuple[Ranking, ...]:
    """Rank the arms over seeds, and over images where their scores on these are stored.

    Arms with fewer than two scores are left out, and nothing is ranked if fewer than two remain.
    Over images, all of them need the same images. ``runs`` are scores.
    """
    samples = {label: runs.finished(label) for label in results.arms}
    samples = {label: sample for label, sample in samples.items() if len(sample) > 1}
    if len(samples) < 2:
        return ()
    higher = results.plan.higher_is_better
    means = {label: float(np.mean(sample)) for label, sample in samples.items()}
    arms = tuple(sorted(means, key=lambda label: means[label], reverse=higher))

    def ranked(over: str, drawn: NDArray[np.float64]) -> Ranking:
        shares = rank_shares(drawn, generator, higher_is_better=higher)
        return Ranking(over, len(drawn), arms, shares)

    generator = np.random.Generator(np.random.PCG64(_SEED))
    found = [ranked(SEEDS, draws_of_means([samples[label] for label in arms], generator))]
    on_images = [intervals[label] for label in arms if label in intervals]
    if len(on_images) == len(arms) and len({one.names for one in on_images}) == 1:
        found.append(ranked(IMAGES, np.array([one.drawn for one in on_images]).T))
    return tuple(found)
