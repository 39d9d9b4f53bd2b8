"""What other numbers of seeds would show: that designs are those that reports will use."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from bench.analysis.analysis import load
from bench.analysis.effects import looks
from bench.analysis.effects.comparisons import compare
from bench.analysis.effects.planning import planning
from bench.analysis.stats import e_process
from bench.analysis.stats.assurance import Design, seeds_that_decide
from bench.analysis.stats.exaggeration import exaggeration
from bench.analysis.stats.families import dunnett_critical
from tests.bench.analysis.effects.made_up import SIX, scores

DELTA = 0.012


def plans(make_store, **options):
    return load(make_store(images=0, **options)).planning


def holm(cells, family, df_of):
    """Return the design with some number of seeds, of a family that Holm's method corrects."""

    def designed(seeds):
        df = df_of(seeds)
        critical = stats.t.ppf([1 - 0.025 / family, 1 - 0.05 / family], df)
        return Design(math.sqrt(2 / (cells * seeds)), df, *critical)

    return designed


def test_two_arms(make_store):
    values = scores(2, 4, generator=2)
    (one,) = plans(make_store, seeds=range(4), values=values, equivalence=DELTA).values()
    differences = [values[1, seed] - values[0, seed] for seed in range(4)]
    sd = np.std(differences, ddof=1) / math.sqrt(2)
    expected = seeds_that_decide(DELTA, holm(1, 1, lambda n: n - 1), sd, 3)
    assert one.spread == pytest.approx(sd)
    assert one.seeds == expected
    assert expected.low < expected.seeds < expected.high


def test_a_factorial(make_store):
    values = scores(6, 3)
    results = load(make_store(factors=SIX, values=values, equivalence=0.006, images=0))
    for one in results.effects.comparisons:
        cells = one.cells
        sd = one.contrast.error * math.sqrt(cells * 3 / 2)
        designed = holm(cells, 3, lambda n, cells=cells: (2 * cells - 1) * (n - 1))
        expected = seeds_that_decide(0.006, designed, sd, one.contrast.df)
        assert results.planning[one.name].seeds == expected


def test_arms_share_an_error_with_fewer_than_eight_seeds_only(make_store):
    options = {"factors": SIX, "design": "one_at_a_time", "seeds": range(4)}
    results = load(make_store(values=scores(4, 4), equivalence=0.014, images=0, **options))
    sd = results.effects.comparisons[0].contrast.error * math.sqrt(2)
    own = holm(1, 3, lambda n: n - 1)

    def designed(seeds):
        if seeds >= 8:
            return own(seeds)
        df = 3 * (seeds - 1)
        critical = dunnett_critical(3, df), stats.t.ppf(1 - 0.05 / 3, df)
        return Design(math.sqrt(2 / seeds), df, *critical)

    expected = seeds_that_decide(0.014, designed, sd, 9, switch=8)
    assert {plan.seeds for plan in results.planning.values() if plan.seeds} == {expected}
    assert expected.low < 8 < expected.high


def test_independent_samples(make_store):
    values = scores(2, 4, generator=2)
    options = {"pairing": "none", "seeds": range(4), "values": values, "equivalence": DELTA}
    results = load(make_store(images=0, **options))
    (one,), (plan,) = results.effects.comparisons, results.planning.values()
    sd, df = one.contrast.error * math.sqrt(2), one.contrast.df
    designed = holm(1, 1, lambda n: max(1, int(df * (n - 1) / 3)))
    assert plan.seeds == seeds_that_decide(DELTA, designed, sd, df)


def test_folds_whose_training_sets_overlap_are_worth_less(make_store):
    results = load(make_store(seeds=range(4), values=scores(2, 4, generator=2), images=0))
    overlap = 1 / 9
    runs = dataclasses.replace(results.runs.on(results.scale), overlap=overlap)
    _, (one,) = compare(results, runs, delta=DELTA, higher_is_better=True)
    (plan,) = planning([one], correction="none", delta=DELTA, any_time=False).values()
    alone = holm(1, 1, lambda n: n - 1)

    def designed(seeds):
        design = alone(seeds)
        error = math.sqrt(2 * (1 / seeds + overlap))  # Nadeau and Bengio
        return dataclasses.replace(design, error=error)

    sd = one.contrast.error / math.sqrt(2 * (1 / 4 + overlap))
    assert plan.spread == pytest.approx(sd)
    assert plan.seeds == seeds_that_decide(DELTA, designed, sd, 3)


def test_after_an_undeclared_look_numbers_are_for_verdicts_that_always_hold(make_store):
    values = scores(2, 4, generator=2)
    results = load(make_store(seeds=range(4), values=values, images=0))
    runs = results.runs.on(results.scale)
    method, found = looks.always_valid(results, runs, delta=DELTA, higher_is_better=True)
    (plan,) = planning(found, correction=method, delta=DELTA, any_time=True).values()

    def designed(seeds):
        needed = e_process.critical_value(seeds - 1, seeds / 2)
        return Design(math.sqrt(2 / seeds), seeds - 1, needed, needed)

    sd = found[0].contrast.error * math.sqrt(2)
    assert plan.seeds == seeds_that_decide(DELTA, designed, sd, 3)
    (once,) = planning(found, correction=method, delta=DELTA, any_time=False).values()
    assert plan.seeds.seeds > once.seeds.seeds


@pytest.mark.parametrize(
    "options",
    [
        {"values": scores(2, 3)},  # no δ was declared
        {"values": scores(2, 3, arm1=0.3), "equivalence": DELTA},  # better
        {"values": scores(2, 3), "equivalence": 0.5},  # equivalent
    ],
)
def test_no_number_without_a_margin_or_where_it_is_decided(make_store, options):
    (one,) = plans(make_store, **options).values()
    assert one.seeds is None


def test_nothing_is_planned_from_one_seed(make_store):
    assert plans(make_store, seeds=(0,), values=scores(2, 1), equivalence=DELTA) == {}


def test_what_is_detectable_is_as_uncertain_as_the_spread(make_store):
    results = load(make_store(values=scores(2, 3), images=0))
    (one,), (plan,) = results.effects.comparisons, results.planning.values()
    ends = [one.detectable * math.sqrt(2 / stats.chi2.ppf(p, 2)) for p in (0.95, 0.05)]
    assert plan.detectable == pytest.approx(ends)


def test_differences_that_few_seeds_found_are_marked_unless_they_are_clear(make_store):
    noise = np.random.default_rng(0).normal(0, 0.01, (2, 20))

    def marked(seeds, shift):
        values = {(a, s): 0.5 + a * shift + noise[a, s] for a in (0, 1) for s in range(seeds)}
        options = {"folder": f"{seeds}{shift}", "seeds": range(seeds), "values": values}
        results = load(make_store(images=0, **options))
        (one,) = results.effects.comparisons
        return one.verdict, results.planning[one.name]

    verdict, plan = marked(5, 0.03)
    assert (verdict, plan.exaggerated) == ("better", True)
    expected = exaggeration(math.sqrt(5 / 2), stats.t.ppf(0.975, 4), 4)  # of 1 sd, in errors
    assert plan.exaggeration == pytest.approx(expected)
    verdict, plan = marked(5, 0.3)
    assert (verdict, plan.exaggerated) == ("better", False)  # beyond all doubt
    verdict, plan = marked(20, 0.01)
    assert (verdict, plan.exaggerated) == ("better", False)  # 20 are not few
    verdict, plan = marked(5, 0.001)
    assert (verdict, plan.exaggerated) == ("inconclusive", False)


def test_runs_that_do_not_vary_mark_nothing(make_store):
    values = {(arm, seed): 0.5 + arm / 10 for arm in range(2) for seed in range(3)}
    (plan,) = plans(make_store, values=values, equivalence=DELTA).values()
    assert (plan.spread, plan.exaggerated, plan.seeds) == (0, False, None)
