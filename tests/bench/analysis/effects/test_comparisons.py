"""Comparisons with the baseline, from stores with known scores to verdicts."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bench.analysis.analysis import load
from bench.analysis.stats import superiority
from bench.report.content import words
from tests.bench.analysis.effects.made_up import CUBE, SIX, scores


def named(found):
    return {one.name: one for one in found.comparisons}


def test_two_arms_are_a_paired_t_test(found):
    values = scores(2, 5, arm1=0.05)
    below, above = ([values[arm, seed] for seed in range(5)] for arm in (0, 1))
    result = found(seeds=range(5), values=values)
    (one,) = result.comparisons
    expected = stats.ttest_rel(above, below)
    assert (one.factor, one.level, one.baseline) == ("train.loss", "dice", "ce")
    assert (one.cells, one.seeds, one.unmatched) == (1, 5, 0)
    assert one.contrast.p == one.p_adjusted == pytest.approx(expected.pvalue)
    assert one.differences == pytest.approx(np.subtract(above, below))
    assert one.probability == 1
    assert one.probability_interval == superiority.interval(1.0, [(5, 5)])
    assert one.verdict == "better"
    assert result.correction == "none"


def test_a_main_effect_is_the_mean_over_the_other_factors_settings(found):
    # ce/bilinear, ce/transposed, dice/bilinear, … : dice adds 0.1 and 0.3.
    values = scores(6, 3, arm2=0.1, arm3=0.3)
    result = found(factors=SIX, values=values)
    mean = {arm: np.mean([values[arm, seed] for seed in range(3)]) for arm in range(6)}
    one = named(result)["train.loss = dice"]
    expected = (mean[2] - mean[0] + mean[3] - mean[1]) / 2
    assert one.contrast.difference == pytest.approx(expected)
    assert one.contrast.df == (2 * 2 - 1) * 2
    assert one.cells == 2
    assert one.probability_interval == superiority.interval(1.0, [(3, 3), (3, 3)])
    other = named(result)["model.upsampling = transposed"]
    assert other.contrast.df == (2 * 3 - 1) * 2
    assert result.correction == "holm"
    raw = [one.contrast.p for one in result.comparisons]
    assert min(one.p_adjusted for one in result.comparisons) == pytest.approx(3 * min(raw))


def test_a_two_by_two_by_two_detects_with_80_percent_power(found):
    result = found(factors=CUBE, values=scores(8, 3))
    for one in result.comparisons:
        sd = one.contrast.error / math.sqrt(2 / 12)
        # t at 0.05 / 3 and 14 degrees of freedom, noncentral for 80 %.
        critical = stats.t.ppf(1 - 0.05 / 6, 14)
        expected = stats.nct.sf(critical, 14, one.detectable / one.contrast.error)
        assert expected == pytest.approx(0.8, abs=1e-4)
        assert 1.2 < one.detectable / sd < 1.8


def test_arms_around_one_baseline_share_an_error_and_dunnett_decides(found):
    values = scores(4, 4)
    result = found(factors=SIX, design="one_at_a_time", seeds=range(4), values=values)
    table = np.array([[values[arm, seed] for seed in range(4)] for arm in range(4)])
    residuals = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
    error = math.sqrt((residuals**2).sum() / 9 * 2 / 4)
    assert result.correction == "dunnett"
    for one, row in zip(result.comparisons, table[1:], strict=True):
        assert one.contrast.df == 9
        assert one.contrast.error == pytest.approx(error)
        assert one.contrast.difference == pytest.approx(row.mean() - table[0].mean())
        assert one.contrast.p < one.p_adjusted < min(1, 3 * one.contrast.p)


def test_from_eight_seeds_on_each_comparison_has_its_own_error_and_holm_decides(found):
    values = scores(4, 8, arm1=0.05)
    result = found(factors=SIX, design="one_at_a_time", seeds=range(8), values=values)
    table = np.array([[values[arm, seed] for seed in range(8)] for arm in range(4)])
    expected = [stats.ttest_rel(row, table[0]).pvalue for row in table[1:]]
    assert (result.correction, result.pooled) == ("holm", False)
    assert [one.contrast.p for one in result.comparisons] == pytest.approx(expected)
    corrected = multipletests(expected, method="holm")[1]
    assert [one.p_adjusted for one in result.comparisons] == pytest.approx(corrected)
    few = {key: value for key, value in values.items() if key[1] < 7}
    result = found(folder="y", factors=SIX, design="one_at_a_time", seeds=range(7), values=few)
    assert (result.correction, result.pooled) == ("dunnett", True)


def test_without_pairing_arms_are_independent_samples(found):
    values = scores(4, 5, arm1=0.05)
    result = found(
        factors=SIX,
        design="one_at_a_time",
        seeds=range(5),
        values=values,
        pairing="none",
        failures={(2, 1): "oom"},
    )
    arm = [[values[a, s] for s in range(5) if (a, s) != (2, 1)] for a in range(4)]
    assert result.correction == "holm"
    for one, own in zip(result.comparisons, arm[1:], strict=True):
        welch = stats.ttest_ind(own, arm[0], equal_var=False)
        assert one.contrast.t == pytest.approx(welch.statistic)
        assert one.contrast.df == math.floor(welch.df)
        assert one.seeds == len(own)
        assert (one.unmatched, one.differences) == (0, ())
        assert math.isnan(one.correlation)
        sizes = [(len(own), len(arm[0]))]
        assert one.probability_interval == superiority.interval(one.probability, sizes)
    factorial = found(folder="y", factors=SIX, values=scores(6, 3), pairing="none")
    assert (factorial.anova, factorial.interactions, factorial.simple) == ((), (), ())
    raw = [one.contrast.p for one in factorial.comparisons]
    corrected = multipletests(raw, method="holm")[1]
    assert [one.p_adjusted for one in factorial.comparisons] == pytest.approx(corrected)


def test_an_arm_without_any_variance_stays_out_of_the_error_of_others(found):
    values = scores(4, 4) | {(2, seed): 0.03 for seed in range(4)}
    result = found(factors=SIX, design="one_at_a_time", seeds=range(4), values=values)
    table = np.array([[values[arm, seed] for seed in range(4)] for arm in range(4)])
    rest = table[[0, 1, 3]]
    residuals = rest - rest.mean(1, keepdims=True) - rest.mean(0) + rest.mean()
    error = math.sqrt((residuals**2).sum() / 6 * 2 / 4)
    dice, constant, upsampling = result.comparisons
    assert [dice.contrast.error, upsampling.contrast.error] == pytest.approx([error, error])
    assert constant.contrast.p == pytest.approx(stats.ttest_rel(table[2], table[0]).pvalue)
    assert result.correction == "holm"
    assert len(result.spreads) == 3


def test_an_interval_excludes_0_just_where_the_verdict_is_better_or_worse(found):
    # All arms are better: the smallest differences are significant in a later step alone.
    seen = set()
    for generator in range(12):
        values = scores(4, 3, arm1=0.06, arm2=0.04, arm3=0.025, generator=generator)
        result = found(folder=str(generator), factors=SIX, design="one_at_a_time", values=values)
        for one in result.comparisons:
            assert one.verdict != "worse"
            assert (one.low >= 0) == (one.verdict == "better")
            assert one.low <= one.contrast.difference <= one.high
            seen.add((one.verdict, one.only_direction))
    assert seen == {("better", False), ("better", True), ("inconclusive", False)}


def test_one_factor_is_many_to_one_whatever_the_design_is_called(found):
    factors = {"train.loss": ["ce", "dice", "dice+ce"]}
    include = ({"model.name": "smp_unet"},)
    result = found(factors=factors, include=include, values=scores(4, 3))
    assert result.correction == "dunnett"
    assert [one.name for one in result.comparisons] == [
        "train.loss = dice",
        "train.loss = dice+ce",
        "smp_unet",
    ]
    assert {one.contrast.df for one in result.comparisons} == {6}
    assert result.comparisons[-1].baseline == "ce"


def test_an_arm_that_lacks_a_seed_leads_to_holms_method(found):
    result = found(
        factors=SIX, design="one_at_a_time", values=scores(4, 3), failures={(2, 1): "oom"}
    )
    assert result.correction == "holm"
    assert [one.seeds for one in result.comparisons] == [3, 2, 3]
    assert [one.unmatched for one in result.comparisons] == [0, 1, 0]
    assert {one.contrast.df for one in result.comparisons} == {11 - 4 - 2}


def test_dunnett_decides_among_the_arms_that_were_measured(found):
    lost = {(2, seed): "oom" for seed in range(3)}
    result = found(factors=SIX, design="one_at_a_time", values=scores(4, 3), failures=lost)
    fewer = {**SIX, "train.loss": ["ce", "dice"]}
    values = {(arm, seed): value for (arm, seed), value in scores(4, 3).items() if arm != 2}
    values |= {(2, seed): value for (arm, seed), value in scores(4, 3).items() if arm == 3}
    without = found(folder="y", factors=fewer, design="one_at_a_time", values=values)
    assert result.correction == without.correction == "dunnett"
    dice, missing, upsampling = result.comparisons
    assert [dice.p_adjusted, upsampling.p_adjusted] == [
        one.p_adjusted for one in without.comparisons
    ]
    assert missing.reason == "no seed finished in both"
    assert math.isnan(missing.p_adjusted)


def test_included_arms_of_a_factorial_are_compared_with_the_baselines_arm(found):
    values = scores(7, 3, arm6=0.3)
    result = found(factors=SIX, include=({"model.name": "smp_unet"},), values=values)
    one = named(result)["smp_unet"]
    below, above = ([values[arm, seed] for seed in range(3)] for arm in (0, 6))
    assert one.contrast.p == pytest.approx(stats.ttest_rel(above, below).pvalue)
    assert one.baseline == "ce · bilinear"
    assert result.tested == 4


def test_a_missing_cell_leaves_its_partner_out(found):
    failures = {(3, seed): "not run" for seed in range(3)}  # dice · transposed
    values = scores(6, 3)
    one = named(found(factors=SIX, values=values, failures=failures))["train.loss = dice"]
    below, above = ([values[arm, seed] for seed in range(3)] for arm in (0, 2))
    assert one.contrast.p == pytest.approx(stats.ttest_rel(above, below).pvalue)
    assert (one.cells, one.unmatched) == (1, 3)  # ce · transposed has no partner


@pytest.mark.parametrize(
    ("failures", "reason"),
    [
        ({(1, 1): "oom", (1, 2): "oom"}, "only one seed finished in both"),
        ({(1, 1): "oom", (1, 2): "oom", (0, 0): "failed"}, "no seed finished in both"),
        ({(1, seed): "diverged" for seed in range(3)}, "no seed finished in both"),
    ],
)
def test_too_few_seeds_are_inconclusive_and_said(found, failures, reason):
    result = found(failures=failures)
    (one,) = result.comparisons
    assert (one.verdict, one.reason) == ("inconclusive", reason)
    assert math.isnan(one.contrast.p)
    assert result.tested == 0
    assert words.verdict(result, one) == f"inconclusive: {reason}"


def test_seeds_that_never_pair_up_in_full_are_too_few(found):
    # Each setting of the other factor has another seed in common: nothing is left for an error.
    lost = {(0, 0), (2, 0), (1, 1), (3, 1)}
    result = found(
        factors={"train.loss": ["ce", "dice"], "train.clip": [1, 2]},
        seeds=(0, 1),
        failures=dict.fromkeys(lost, "oom"),
    )
    assert result.comparisons[0].reason == "too few seeds finished in both"


def test_a_margin_makes_equal_arms_equivalent(example):
    result = load(example("a margin")).effects
    assert result.delta == 0.02
    assert [one.verdict for one in result.comparisons] == ["equivalent", "equivalent"]
    assert words.verdict(result, result.comparisons[0]) == "equivalent within ±2 points"
    without = dataclasses.replace(result, delta=None)
    assert words.verdict(without, result.comparisons[0]) == "equivalent"


def test_without_a_margin_equal_arms_stay_inconclusive(found):
    values = {(arm, seed): 0.5 + seed / 100 for arm in range(2) for seed in range(3)}
    (one,) = found(values=values).comparisons
    assert (one.verdict, one.p_adjusted) == ("inconclusive", 1)


def test_runs_without_any_variation_are_decided_without_warnings(found):
    values = {(arm, seed): 0.5 + arm / 10 for arm in range(2) for seed in range(3)}
    (one,) = found(values=values).comparisons
    assert (one.verdict, one.p_adjusted, one.detectable) == ("better", 0, 0)


def test_margins_are_corrected_by_holm(found):
    factors = {"train.loss": ["a", "b", "c", "d"]}
    values = scores(4, 5)
    result = found(factors=factors, seeds=range(5), values=values, equivalence=0.015)
    contrasts = [one.contrast for one in result.comparisons]
    raw = [stats.t.cdf((abs(c.difference) - 0.015) / c.error, c.df) for c in contrasts]
    expected = multipletests(raw, method="holm")[1]
    assert [one.p_equivalent for one in result.comparisons] == pytest.approx(expected)


def test_of_milliseconds_less_is_better(found):
    speeds = {(0, seed): 100.0 + seed for seed in range(5)}
    speeds |= {(1, seed): 90.0 - seed for seed in range(5)}
    result = found(measure="throughput", metric="milliseconds", seeds=range(5), values=speeds)
    (one,) = result.comparisons
    expected = np.mean([math.log(speeds[0, seed] / speeds[1, seed]) for seed in range(5)])
    assert one.contrast.difference == pytest.approx(expected)
    assert one.verdict == "worse"
    assert words.with_unit(result, one.contrast.difference) == "1.16 ×"
