"""Levels, arms and cell means; what is computed once, and how it is written."""

import itertools

import numpy as np
import pytest

from bench.analysis.analysis import load
from bench.report.content import numbers, words
from tests.bench.analysis.effects.made_up import SIX, scores


def test_levels_count_a_seed_once(found):
    values = scores(6, 3)
    sample = found(factors=SIX, values=values).levels["train.loss", "dice"]
    seeds = [(values[2, seed] + values[3, seed]) / 2 for seed in range(3)]
    assert (sample.n, sample.df) == (3, 2)
    assert sample.mean == pytest.approx(np.mean(seeds))
    assert sample.sd == pytest.approx(np.std(seeds, ddof=1))


def test_cell_means(make_store):
    values = scores(6, 3)
    results = load(make_store(factors=SIX, values=values, images=0))
    means = results.cell_means("train.loss", "model.upsampling")
    for arm, levels in enumerate(itertools.product(*SIX.values())):
        assert means[levels].mean == pytest.approx(np.mean([values[arm, s] for s in range(3)]))
        assert means[levels].n == 3


def test_nothing_is_computed_twice(example):
    results = load(example("two arms"))
    assert results.effects is results.effects
    assert results.runs is results.runs


def test_every_store_has_effects_in_words(every_store):
    result = load(every_store).effects
    for one in result.comparisons:
        said = [
            words.verdict(result, one),
            words.effect(result, one.contrast.difference),
            words.interval(result, one.low, one.high),
            numbers.p_value(one.p_adjusted),
        ]
        assert "nan" not in " ".join(map(str, said))
        assert one.verdict in ("better", "worse", "equivalent", "inconclusive")
        assert one.testable or one.reason


def test_numbers_in_words(found):
    result = found(values=scores(2, 3, arm1=-0.05))
    assert words.effect(result, -0.05123) == f"{numbers.MINUS}5.1"
    assert words.effect(result, 0.05123) == "+5.1"
    assert words.effect(result, -0.0001) == "0.0"
    assert words.with_unit(result, 0.05, signed=False) == "5.0 points"
    assert [numbers.p_value(p) for p in (0.0004, 0.0494, 1.0)] == ["< 0.001", "0.049", "1.000"]
