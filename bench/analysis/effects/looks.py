"""Verdicts of a series of looks that nobody declared: they hold at any number of seeds."""

from __future__ import annotations

import dataclasses
import math

from bench.analysis.effects.comparisons import Comparison, interval
from bench.analysis.effects.estimates import Estimate, estimates
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import e_process, families, power, verdicts
from bench.analysis.stats.sample import ALPHA
from bench.store.frame import NOT_RUN, Results
from bench.store.looks import ReportedLook


def current(results: Results, seeds: int) -> ReportedLook | None:
    """Return what a report is that compares so many seeds; None where there are none."""
    if not seeds:
        return None
    trials, baseline = results.plan.labelled(), results.baseline_arm
    own = [trial for trial in trials if trial.label == baseline] or trials
    first = min(own, key=lambda trial: trial.seed)
    declared = results.plan.looks or (len(results.plan.seeds),)
    return ReportedLook(seeds=seeds, declared=declared, first=first.key)


def complete(results: Results) -> bool:
    """Tell whether every planned trial was measured; one that failed was."""
    return not bool((results.trials["status"] == NOT_RUN).any())


def always_valid(
    results: Results, runs: Runs, *, delta: float | None, higher_is_better: bool
) -> tuple[str, tuple[Comparison, ...]]:
    """Compare with the baseline as ``comparisons.compare`` does, whatever made somebody look.

    Every comparison has its own error, at all numbers of seeds alike, and is corrected by Holm's
    method, which 1 / e admits as it admits any p.
    """
    found = estimates(results, runs, own_error=True)
    family = sum(one.testable for one in found)
    p = [_p(one) for one in found]
    same = [_p_equivalent(one, delta) for one in found]

    def detectable(one: Estimate, df: float, error: float) -> float:
        needed = e_process.critical_value(df, information(one), ALPHA / family)
        return power.detectable(needed, df) * error if math.isfinite(needed) else math.inf

    def decide(one: Estimate, own: float, adjusted: float, p_equivalent: float) -> Comparison:
        if not one.testable:
            few = f"too few {results.measurement.replicate}s finished in both"
            return Comparison(**vars(one), reason=few)
        contrast = one.contrast
        verdict = verdicts.verdict(
            contrast.difference, adjusted, p_equivalent, higher_is_better=higher_is_better
        )
        seen = detectable(one, contrast.df, contrast.error)
        low, high = _sequence(one, adjusted, ALPHA / family)
        return Comparison(
            **{**vars(one), "contrast": dataclasses.replace(contrast, p=own)},
            p_adjusted=adjusted,
            low=low,
            high=high,
            p_equivalent=p_equivalent,
            detectable=seen if math.isfinite(seen) else math.nan,
            verdict=verdict,
        )

    decided = tuple(map(decide, found, p, families.holm(p), families.holm(same)))
    return "holm" if family > 1 else "none", decided


def information(one: Estimate) -> float:
    """Return the variance of a run over that of the estimated difference."""
    error = one.contrast.error
    if one.model is None or not error > 0:
        return one.cells * one.seeds / 2  # what it is if no trial is missing
    return one.model.variance / error**2


def _p(one: Estimate) -> float:
    if not one.testable:
        return math.nan
    return e_process.p_value(one.contrast.t, one.contrast.df, information(one))


def _p_equivalent(one: Estimate, delta: float | None) -> float:
    if delta is None or not one.testable:
        return math.nan
    contrast = one.contrast
    return e_process.equivalence(
        contrast.difference, contrast.error, contrast.df, information(one), delta
    )


def _sequence(one: Estimate, p: float, alpha: float) -> tuple[float, float]:
    """Return the confidence sequence at these seeds; NaN where they are too few for any end."""
    needed = e_process.critical_value(one.contrast.df, information(one), alpha)
    return interval(one.contrast, needed if math.isfinite(needed) else math.nan, p)
