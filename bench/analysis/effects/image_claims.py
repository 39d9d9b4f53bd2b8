"""Whether what is said of the evaluated images holds for such images; see ``stats.crossed``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench import metrics
from bench.analysis.effects.comparisons import Comparison, interval
from bench.analysis.effects.estimates import Pair, pairs_of, sharing_a_seed
from bench.analysis.effects.image_groups import groups
from bench.analysis.effects.image_parts import LEAST_IMAGES, Parts, parts
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import families, verdicts
from bench.analysis.stats.blocks import Contrast
from bench.analysis.stats.crossed import crossed, pseudo_values, rarest
from bench.analysis.stats.sample import ALPHA, t_quantile
from bench.analysis.stats.verdicts import INCONCLUSIVE
from bench.store.frame import Results

LEAST_OF_A_CLASS = 5  # images; simulated claims about a mean with a class in fewer failed too often
_UNKNOWN = Contrast()

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ImageClaim:
    """What a comparison says of other images of this kind; NaN where nothing is said."""

    images: int = 0  # evaluated under every setting that is compared; 0 if not known
    units: int = 0  # how many of these, or groups of these, count as independent
    noun: str = "image"  # what these are
    contrast: Contrast = _UNKNOWN  # interval and p of this comparison alone
    low: float = math.nan  # ends of the 95 % interval that holds for all claims at once
    high: float = math.nan
    p_adjusted: float = math.nan  # by Holm's method, for all claims
    verdict: str = ""  # one of ``stats.verdicts``; empty where there is no claim
    reason: str = ""  # why there is none


def image_claims(
    results: Results,
    runs: Runs,
    comparisons: Sequence[Comparison],
    *,
    delta: float | None,
    higher_is_better: bool,
) -> dict[str, ImageClaim]:
    """Return the claim of each comparison that could be tested, by its name.

    A claim about such images says no more than the verdict on these images: where they differ, it
    is inconclusive. There are none of cross-validation, in which each seed has other images.
    """
    if not results.measurement.trains or runs.overlap:
        return {}
    tested = [one for one in comparisons if one.testable]
    alpha = ALPHA / max(1, len(tested))
    found = [_claim(results, runs, one, alpha) for one in tested]
    contrasts = [claim.contrast for claim in found]
    same = [math.nan if delta is None else verdicts.equivalence(c, delta) for c in contrasts]
    adjusted = families.holm([contrast.p for contrast in contrasts])

    def verdict(one: Comparison, claim: ImageClaim, p: float, p_equivalent: float) -> ImageClaim:
        if claim.reason:
            return claim
        difference, df = claim.contrast.difference, claim.contrast.df
        low, high = interval(claim.contrast, t_quantile(df, alpha), p)
        said = verdicts.verdict(difference, p, p_equivalent, higher_is_better=higher_is_better)
        said = said if said == one.verdict else INCONCLUSIVE
        return replace(claim, low=low, high=high, p_adjusted=p, verdict=said)

    decided = map(verdict, tested, found, adjusted, families.holm(same))
    return {one.name: claim for one, claim in zip(tested, decided, strict=True)}


def _claim(results: Results, runs: Runs, one: Comparison, alpha: float) -> ImageClaim:
    """Return the claim of a comparison without its verdict."""
    if results.plan.pairing != "seed":
        return ImageClaim(reason="arms share no seeds")
    pairs = sharing_a_seed(_pairs(results, one), runs)
    labels = list(dict.fromkeys(label for pair in pairs for label in pair))
    complete = np.flatnonzero(~np.isnan(runs.table(labels)).any(0))
    seeds = [runs.seeds[i] for i in complete]
    done = results.done.set_index(["arm", "seed"])["key"]
    keys = {(label, seed): str(done[label, seed]) for label in labels for seed in seeds}
    if len(seeds) < 2:
        return ImageClaim(reason="fewer than two seeds finished under every setting compared")
    if any(key not in results.counts for key in keys.values()):
        return ImageClaim(reason="counts by image are not stored for all runs")
    counts = {key: results.counts[key] for key in keys.values()}
    names = {one.names for one in counts.values()}
    if len(names) > 1:
        return ImageClaim(reason="not all runs were evaluated on the same images")
    key = next(iter(counts))
    how, units = parts(results, key), groups(results, key)
    if units is None:
        return ImageClaim(reason="images are in groups, which image_groups would have to name")
    claim = ImageClaim(len(names.pop()), units.count, units.noun)
    if units.count < LEAST_IMAGES:
        few = f"fewer than {LEAST_IMAGES} {units.noun}s are too few for that"
        return replace(claim, reason=few)
    if how is None:
        return replace(claim, reason=f"that is not computed for {metrics.label(results.metric)}")
    counted = {key: how.of(one, units) for key, one in counts.items()}
    if rare := _rare(results, how, counted, units.noun):
        return replace(claim, reason=rare)
    table = np.zeros((len(seeds), units.count))
    for base, other in pairs:
        for row, seed in enumerate(seeds):
            table[row] += pseudo_values(counted[keys[other, seed]], how.score) / len(pairs)
            table[row] -= pseudo_values(counted[keys[base, seed]], how.score) / len(pairs)
    return replace(claim, contrast=crossed(table, one.contrast, alpha))


def _pairs(results: Results, one: Comparison) -> Iterator[Pair]:
    if one.factor is None:
        yield one.baseline, one.level
    else:
        yield from pairs_of(results, one.factor, one.level)


def _rare(results: Results, how: Parts, counted: Mapping[str, Array], noun: str) -> str:
    """Say which class of a mean is in too few images, or groups, for a claim; "" if none is."""
    found = np.array(list(counted.values()))
    index, images = rarest(found)
    if how.classes and images < LEAST_OF_A_CLASS:
        (name,) = results.plan.labels.of_classes(how.classes[index : index + 1])
        return f"{name} is in only {images} of {found.shape[-2]} {noun}s"
    return ""
