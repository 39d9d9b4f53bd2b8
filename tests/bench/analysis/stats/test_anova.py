"""Analysis of variance against a textbook, sums by hand, and statsmodels."""

import itertools

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from bench.analysis.stats.anova import anova
from bench.analysis.stats.blocks import contrast, fit

# Montgomery, Design and Analysis of Experiments, example 5.6: intensity at which a target is
# detected, for 3 levels of ground clutter × 2 types of filter, operators 1 to 4 as blocks.
RADAR = np.array(
    [
        [90, 96, 100, 92], [86, 84, 92, 81],  # low
        [102, 106, 105, 96], [87, 90, 97, 80],  # medium
        [114, 112, 108, 98], [93, 91, 95, 83],  # high
    ]
)  # fmt: skip
RADAR_LEVELS = list(itertools.product(range(3), range(2)))


def analysed(table, levels):
    """Analyse factors that are called by their number."""
    return anova(table, {str(i): own for i, own in enumerate(zip(*levels, strict=True))})


def by_kind(rows):
    return {(row.kind, tuple(map(int, row.factors))): row for row in rows}


def test_the_textbook_table():
    rows = by_kind(analysed(RADAR, RADAR_LEVELS))
    printed = {
        ("seed", ()): (402.17, 3),
        ("main", (0,)): (335.58, 2, 15.13, 0.0003),
        ("main", (1,)): (1066.67, 1, 96.19, 0.0001),
        ("interaction", (0, 1)): (77.08, 2, 3.48, 0.0573),
        ("residual", ()): (166.33, 15),
    }
    assert rows.keys() == printed.keys()
    for key, (ss, df, *tested) in printed.items():
        assert rows[key].ss == pytest.approx(ss, abs=0.006)
        assert rows[key].df == df
        if tested:
            # The book divides by an error that is rounded to 11.09, and looks p up for that.
            assert rows[key].f == pytest.approx(tested[0], abs=0.011)
            assert rows[key].p == pytest.approx(tested[1], abs=3e-4)
    # 2 (15.13 - 1) / (2 (15.13 - 1) + 24)
    assert rows["main", (0,)].omega2 == pytest.approx(0.541, abs=0.001)


def by_hand(table, levels):
    """Sums of squares of a complete design from means of its margins."""
    values = table.reshape(*(np.max(levels, 0) + 1), table.shape[1])
    centred = values - values.mean()
    axes = range(values.ndim)

    def effect(kept):
        mean = centred.mean(tuple(a for a in axes if a not in kept), keepdims=True)
        for size in range(1, len(kept)):
            for part in itertools.combinations(kept, size):
                mean = mean - effect(part)
        return mean

    return {
        kept: float((effect(kept) ** 2).sum() * values.size / effect(kept).size)
        for size in (1, 2)
        for kept in itertools.combinations(axes, size)
    }


@pytest.mark.parametrize("shape", [(3, 2), (2, 2, 2), (3, 2, 2, 2)])
def test_complete_designs_by_hand(shape):
    rng = np.random.default_rng(len(shape))
    levels = list(itertools.product(*map(range, shape)))
    table = rng.normal(size=(len(levels), 3)) + rng.normal(size=3)
    rows, sums = analysed(table, levels), by_hand(table, levels)
    for row in rows:
        if row.kind in ("main", "interaction"):
            assert row.ss == pytest.approx(sums[tuple(map(int, row.factors))])
            assert row.df == np.prod([shape[i] - 1 for i in map(int, row.factors)])
    found = by_kind(rows)
    assert found["seed", ()].ss == pytest.approx(sums[len(shape),])
    assert found["residual", ()].df == (len(levels) - 1) * 2
    assert sum(row.df for row in rows) == table.size - 1
    assert sum(row.ss for row in rows) == pytest.approx(((table - table.mean()) ** 2).sum())
    assert (("higher", ()) in found) == (len(shape) > 2)


def test_incomplete_trials_are_type_two_of_statsmodels():
    rng = np.random.default_rng(7)
    levels = list(itertools.product(range(3), range(2)))
    table = rng.normal(size=(6, 4))
    table[0, 1] = table[3, 3] = table[4, 0] = np.nan
    cell, seed = np.nonzero(~np.isnan(table))
    frame = pd.DataFrame(np.array(levels)[cell], columns=["a", "b"])
    frame = frame.assign(seed=seed, y=table[cell, seed])
    expected = anova_lm(ols("y ~ C(seed) + C(a) * C(b)", frame).fit(), typ=2)
    rows = by_kind(analysed(table, levels))
    for key, name in {
        ("seed", ()): "C(seed)",
        ("main", (0,)): "C(a)",
        ("main", (1,)): "C(b)",
        ("interaction", (0, 1)): "C(a):C(b)",
    }.items():
        line = expected.loc[name]
        assert (rows[key].ss, rows[key].df) == pytest.approx((line["sum_sq"], line["df"]))
        assert (rows[key].f, rows[key].p) == pytest.approx((line["F"], line["PR(>F)"]))


def test_an_empty_cell_takes_a_degree_of_freedom_from_the_interaction():
    levels = list(itertools.product(range(3), range(2)))
    table = np.random.default_rng(8).normal(size=(6, 4))
    rows = by_kind(analysed(table[:-1], levels[:-1]))
    assert rows["interaction", (0, 1)].df == 1
    assert rows["main", (0,)].df == 2
    assert rows["residual", ()].df == 4 * 3


def test_with_two_levels_f_is_the_square_of_t():
    rng = np.random.default_rng(9)
    levels = list(itertools.product(range(2), range(2), range(2)))
    table = rng.normal(size=(8, 3))
    weights = np.array([1 if own[1] else -1 for own in levels]) / 4
    row = by_kind(analysed(table, levels))["main", (1,)]
    found = contrast(fit(table), weights)
    assert row.f == pytest.approx(found.t**2)
    assert row.p == pytest.approx(found.p)


def test_what_never_varies_brings_no_warning():
    levels = list(itertools.product(range(2), range(2)))
    table = np.repeat([[0.1], [0.1], [0.7], [0.7]], 3, axis=1)
    rows = by_kind(analysed(table, levels))
    assert (rows["main", (0,)].p, rows["main", (0,)].omega2) == (0, 1)
    assert rows["main", (1,)].p == rows["interaction", (0, 1)].p == rows["seed", ()].p == 1


def test_one_seed_cannot_be_analysed():
    assert analysed([[1.0], [2.0], [3.0], [4.0]], list(itertools.product((0, 1), (0, 1)))) == ()
