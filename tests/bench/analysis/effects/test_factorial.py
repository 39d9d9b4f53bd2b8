"""Analysis of variance, interactions and simple effects of stores with known scores."""

import pytest

from bench.analysis.analysis import load
from tests.bench.analysis.effects.made_up import CUBE, scores


def test_with_two_levels_anova_and_comparison_agree(found):
    result = found(factors=CUBE, values=scores(8, 4), seeds=range(4))
    sources = {row.factors: row for row in result.anova}
    for one in result.comparisons:
        assert sources[one.factor,].p == pytest.approx(one.contrast.p)
        assert sources[one.factor,].f == pytest.approx(one.contrast.t**2)
    assert [row.kind for row in result.anova][-2:] == ["higher", "residual"]


def test_factors_that_depend_on_each_other_are_taken_apart(found):
    factors = {"train.loss": ["ce", "dice"], "train.clip": [1, 2]}
    result = found(factors=factors, values=scores(4, 4, arm3=0.2), seeds=range(4))
    (pair,) = result.interactions
    assert pair.factors == ("train.loss", "train.clip")
    assert pair.p < 1e-3
    assert not pair.negligible
    simple = {(one.factor, one.at): one.contrast for one in result.simple}
    assert len(result.simple) == len(simple) == 4
    assert abs(simple["train.loss", "1"].difference) < 0.05
    assert simple["train.loss", "2"].difference == pytest.approx(0.2, abs=0.05)
    assert simple["train.loss", "2"].df == 3 * 3


def test_additive_factors_are_not(found):
    factors = {"train.loss": ["ce", "dice"], "train.clip": [1, 2]}
    result = found(factors=factors, values=scores(4, 4, generator=1, arm3=0.2, arm2=0.2))
    assert result.interactions[0].negligible
    assert result.simple == ()


@pytest.mark.parametrize("name", ["two arms", "one at a time", "one arm", "four arms"])
def test_other_designs_have_no_anova(example, name):
    assert load(example(name)).effects.anova == ()
