"""A full factorial beyond its main effects: analysis of variance, interactions, simple effects."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.analysis.effects.comparisons import matched
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import blocks
from bench.analysis.stats.anova import Row, anova
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.constants import ALPHA
from bench.store.frame import Results


@dataclass(frozen=True)
class Source:
    """A line of the analysis of variance, and the names of its factors."""

    factors: tuple[str, ...]
    row: Row


@dataclass(frozen=True)
class Interaction:
    """Whether the effect of one factor depends on another.

    Attributes:
        factors: the two of them.
        p: of the F test, not corrected; NaN where it could not be tested.
    """

    factors: tuple[str, str]
    p: float

    @property
    def negligible(self) -> bool:
        """Whether effects are given for both factors together only.

        The test is left uncorrected: overlooking an interaction misleads more than showing the
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


def analyse(
    results: Results, runs: Runs
) -> tuple[tuple[Source, ...], tuple[Interaction, ...], tuple[SimpleEffect, ...]]:
    """Analyse a full factorial of two factors or more; of other designs there is nothing."""
    if results.plan["design"] != "full_factorial" or len(results.factors) < 2:
        return (), (), ()
    names = list(results.factors)
    arms = [label for label in results.grid if runs.measured(label)]
    levels = [
        [results.factors[name].index(results.arms[label][name]) for name in names] for label in arms
    ]
    rows = anova(runs.table(arms), levels) if arms else ()
    sources = tuple(Source(tuple(names[i] for i in row.factors), row) for row in rows)
    p = {source.factors: source.row.p for source in sources if source.row.kind == "interaction"}
    interactions = tuple(
        Interaction(pair, p.get(pair, float("nan"))) for pair in itertools.combinations(names, 2)
    )
    simple = tuple(
        effect
        for interaction in interactions
        if not interaction.negligible
        for pair in itertools.permutations(interaction.factors)
        for effect in _simple(results, runs, *pair)
    )
    return sources, interactions, simple


def _simple(results: Results, runs: Runs, factor: str, moderator: str) -> Iterator[SimpleEffect]:
    """Yield the effects of a factor at each level of another, with the error of all of them."""
    base = results.baseline[factor]
    for level in (level for level in results.factors[factor] if level != base):
        pairs = matched(results, runs, factor, level)
        below, above = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        model = blocks.fit(runs.table((*below, *above))) if pairs else None
        for at in results.factors[moderator]:
            here = np.array([results.arms[label][moderator] == at for label in below], dtype=bool)
            if model is None or not here.any():
                continue
            weights = np.concatenate([-1.0 * here, 1.0 * here]) / here.sum()
            contrast = blocks.contrast(model, weights)
            if contrast is not None:
                yield SimpleEffect(factor, level, base, moderator, at, contrast)
