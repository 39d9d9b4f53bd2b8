"""What a report answers in sentences, made from the verdicts; and how to read its statistics."""

from __future__ import annotations

from collections.abc import Iterator

from bench import metrics
from bench.analysis.analysis import Analysis
from bench.analysis.effects import words
from bench.analysis.effects.summary import Comparison, Effects
from bench.analysis.stats.constants import ALPHA
from bench.analysis.stats.verdicts import BETTER, EQUIVALENT, INCONCLUSIVE, WORSE
from bench.report.content.cells import counted, number, shortened

_CORRECTIONS = {"holm": "Holm's method", "dunnett": "Dunnett's test"}


def answer(results: Analysis) -> list[str]:
    """Return sentences: what was seen, what is undecided, what could have been seen."""
    found, replicate = results.effects, results.measurement.replicate
    if not found.comparisons:
        return list(_alone(results, found))
    return [
        _seen(results, found),
        *_undecided(found, replicate),
        *_could_have_seen(found, replicate),
        *_dependent(found),
    ]


def reading_effects(results: Analysis) -> str:
    """Return how to read the table and the figure of comparisons."""
    found, replicate = results.effects, results.measurement.replicate
    scale = found.scale
    if not found.comparisons:
        return ""
    said = [_what_is_compared(found, replicate)]
    if found.tested:
        said.append(
            "The interval and p are of that comparison alone"
            + _corrected(found)
            + f". P(higher) is how often a run is above a run of the baseline; the {replicate} "
            f"correlation is between runs that share a {replicate}, which pairing by {replicate} "
            f"lives on. Detectable is the true {scale.size}{scale.either_way} that such a design "
            "calls a difference in four of five cases, if runs vary as much as these did."
        )
    if found.correction == "dunnett":
        said.append(_shared_error(found))
    if found.delta is not None:
        said.append(
            f"{scale.noun.capitalize()}s within {words.margin(found)} were declared beforehand "
            "not to matter: a comparison is equivalent where two one-sided tests exclude any "
            "beyond."
        )
    elif any(one.testable and one.verdict == INCONCLUSIVE for one in found.comparisons):
        said.append("Inconclusive does not mean that there is no difference.")
    if any(words.seeds_needed(one) for one in found.comparisons):
        said.append(
            f"The {replicate}s that would decide are those that would see the observed {scale.size}"
            + (f", or {words.margin(found)} where it is smaller," if found.delta else "")
            + " in four of five cases."
        )
    return " ".join(said)


def reading_anova(results: Analysis) -> str:
    """Return how to read the analysis of variance; empty where there is none."""
    found = results.effects
    if not found.anova:
        return ""
    return (
        f"{results.measurement.replicate.capitalize()}s are blocks, sums of squares are "
        f"{found.scale.squares}of type II, and the residual is what differs "
        "between runs of one arm. p is not corrected. Partial ω² is the share of the variance that "
        "a source explains beside the residual; as an estimate without bias it can fall below 0."
    )


def reading_interactions(results: Analysis) -> str:
    """Say which factors depend on each other, and how far the question could be answered."""
    found = results.effects
    tested = [one for one in found.interactions if one.p == one.p]
    if not tested:
        return ""
    names = [
        f"{' × '.join(one.factors)} (p {words.equals(one.p)})"
        for one in tested
        if not one.negligible
    ]
    if not names:
        return (
            "No two factors are seen to depend on each other; a design sees interactions only "
            "where they are about twice as large as the effects that it sees."
        )
    return (
        f"Factors that depend on each other at p ≤ 0.05: {', '.join(names)}. Their effects are "
        "given below for each level of the other factor; these are not corrected, and no verdict "
        "rests on them."
    )


def reading_images(results: Analysis) -> str:
    """Say what an interval over images is about."""
    return (
        "These intervals are about other images, not about other training runs: the evaluated "
        "images were drawn 1,000 times with replacement, and the same networks scored on each "
        "draw. No verdict uses them."
    )


def _alone(results: Analysis, found: Effects) -> Iterator[str]:
    """Say what one arm reached, where there is nothing to compare it with."""
    for label, sample in found.arms.items():
        if sample.n and len(found.arms) == 1:
            interval = f" (95 % interval {number(sample.low)} to {number(sample.high)})"
            yield (
                f"{label}: {metrics.label(results.metric)} is {number(sample.mean)}"
                + (interval if sample.n > 1 else "")
                + f" with {counted(sample.n, results.measurement.replicate)}."
            )
    yield "Nothing is compared here, so nothing is decided."


def _seen(results: Analysis, found: Effects) -> str:
    metric, baseline = metrics.label(results.metric), f"the baseline ({results.baseline_arm})"
    if not found.tested:
        reasons = {one.reason for one in found.comparisons}
        few = f"too few {results.measurement.replicate}s finished in both"
        why = reasons.pop() if len(reasons) == 1 else few
        return f"Nothing can be said about {metric} against {baseline} yet: {why}."
    said = []
    for verdict, phrase in (
        (BETTER, "better"),
        (WORSE, "worse"),
        (EQUIVALENT, f"equivalent within {words.margin(found)}" if found.delta else ""),
    ):
        names = [_with_interval(found, one) for one in found.comparisons if one.verdict == verdict]
        if names:
            said.append(f"{phrase} with {shortened(names)}")
    if said:
        return f"Against {baseline}, {metric} is {'; '.join(said)}."
    which = "the comparison" if found.tested == 1 else f"any of {found.tested} comparisons"
    return f"These runs do not decide {which} of {metric} with {baseline}."


def _undecided(found: Effects, replicate: str) -> Iterator[str]:
    open_ones = [one for one in found.comparisons if one.verdict == INCONCLUSIVE]
    if not found.tested or not open_ones:
        return
    names = [f"{one.name} ({_what_would_decide(found, one, replicate)})" for one in open_ones]
    yield (
        f"Undecided, with the number of {replicate}s that would decide if the {found.scale.noun}s "
        f"are what they seem: {shortened(names)}."
    )


def _what_would_decide(found: Effects, one: Comparison, replicate: str) -> str:
    if not one.testable:
        return one.reason
    needed = words.seeds_needed(one).replace("> ", "more than ")
    return f"{words.with_unit(found, one.contrast.difference)}, {needed} {replicate}s"


def _could_have_seen(found: Effects, replicate: str) -> Iterator[str]:
    tested = [one for one in found.comparisons if one.testable]
    if not tested:
        return
    detectable, most = [one.detectable for one in tested], max(one.seeds for one in tested)
    low, high = (
        words.amount(found, value, signed=False) for value in (min(detectable), max(detectable))
    )
    which = f"{low} to {high}" if low != high else low
    corrected = "" if found.correction == "none" else f", corrected for {found.tested} comparisons"
    yield (
        f"With {counted(most, replicate)} this design sees a true {found.scale.size} of "
        + f"{which} {found.scale.unit}".rstrip()
        + f"{found.scale.either_way} in four of five cases{corrected}; smaller ones it easily "
        "misses."
    )


def _dependent(found: Effects) -> Iterator[str]:
    names = [" and ".join(one.factors) for one in found.interactions if not one.negligible]
    if names:
        yield f"Some effects depend on each other (p ≤ 0.05): {shortened(names)}; see below."


def _what_is_compared(found: Effects, replicate: str) -> str:
    scale = found.scale
    over = (
        f", the {scale.mean} over the settings of the other factors"
        if any(one.cells > 1 for one in found.comparisons)
        else ""
    )
    paired = f"paired by {replicate}{scale.remark}"
    return f"A {scale.noun} is {scale.definition}{over}, {paired}."


def _corrected(found: Effects) -> str:
    if found.correction == "none":
        return ""
    return (
        f"; verdicts go by the p that is corrected for {found.tested} comparisons "
        f"({_CORRECTIONS[found.correction]}), so an interval may leave out "
        f"{found.scale.neutral:g} and the verdict still be inconclusive"
    )


def _shared_error(found: Effects) -> str:
    shared = "All arms share one error, as if their runs varied alike"
    if not found.alike <= ALPHA:
        return f"{shared}."
    low, high = min(found.spreads), max(found.spreads)
    return (
        f"{shared}. They do not seem to (Bartlett's test, p {words.equals(found.alike)}; "
        f"standard deviations {found.scale.squares.removesuffix('and ')}from {number(low)} to "
        f"{number(high)}), so these verdicts are less certain than they look."
    )


def _with_interval(found: Effects, one: Comparison) -> str:
    interval = words.interval(found, one.contrast.low, one.contrast.high)
    seen = words.with_unit(found, one.contrast.difference)
    return f"{one.name} ({seen}, 95 % interval {interval})"
