"""A full factorial beyond its main effects: analysis of variance, interactions, simple effects."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.analysis.effects.estimates import pairs_of, sharing_a_seed
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import blocks, folds
from bench.analysis.stats.anova import Row, anova
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.sample import ALPHA
from bench.store.frame import Results


@dataclass(frozen=True)
class Interaction:
    """Whether the effect of one factor depends on another."""

    factors: tuple[str, str]
    p: float  # of the F test, not corrected; NaN where it could not be tested

    @property
    def negligible(self) -> bool:
        """Whether no simple effects are shown.

        The test is not corrected: to overlook an interaction misleads more than to show the
        effects that make it up, on which there is no verdict.
        """
        return not self.p <= ALPHA


@dataclass(frozen=True)
class SimpleEffect:
    """The effect of a level of ``factor`` where ``moderator`` has the level ``at``."""

    factor: str
    level: str
    baseline: str
    moderator: str
    at: str
    contrast: Contrast


def factorial(
    results: Results, runs: Runs
) -> tuple[tuple[Row, ...], tuple[Interaction, ...], tuple[SimpleEffect, ...]]:
    """Analyse a full factorial of two factors or more; of other designs there is nothing.

    Seeds are blocks of the analysis, so there is nothing either where arms do not share them.
    """
    shared = results.plan.pairing == "seed"
    if not shared or results.plan.design != "full_factorial" or len(results.factors) < 2:
        return (), (), ()
    arms = [label for label in results.grid if runs.measured(label)]
    levels = {
        name: [own.index(results.arms[label][name]) for label in arms]
        for name, own in results.factors.items()
    }
    rows = anova(runs.table(arms), levels) if arms else ()
    rows = folds.of_anova(rows, len(runs.seeds), runs.overlap)
    p = {row.factors: row.p for row in rows}
    pairs = itertools.combinations(results.factors, 2)
    interactions = tuple(Interaction(pair, p.get(pair, math.nan)) for pair in pairs)
    simple = tuple(
        effect
        for interaction in interactions
        if not interaction.negligible
        for pair in itertools.permutations(interaction.factors)
        for effect in _simple(results, runs, *pair)
    )
    return rows, interactions, simple


def _simple(results: Results, runs: Runs, factor: str, moderator: str) -> Iterator[SimpleEffect]:
    """Yield the effects of a factor at each level of another, with the error of all of them."""
    base = results.baseline[factor]
    for level in (level for level in results.factors[factor] if level != base):
        pairs = sharing_a_seed(pairs_of(results, factor, level), runs)
        if not pairs:
            continue
        below, above = zip(*pairs, strict=True)
        model = blocks.fit(runs.table((*below, *above)))
        for at in results.factors[moderator]:
            chosen = np.array([results.arms[label][moderator] == at for label in below])
            if not chosen.any():
                continue
            weights = np.concatenate([-1.0 * chosen, 1.0 * chosen]) / chosen.sum()
            contrast = blocks.contrast(model, weights)
            if contrast is not None:
                contrast = folds.of_contrast(contrast, len(runs.seeds), runs.overlap)
                yield SimpleEffect(factor, level, base, moderator, at, contrast)
