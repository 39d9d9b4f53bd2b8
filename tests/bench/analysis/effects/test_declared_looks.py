"""Declared looks: each comparison is decided at the first look whose bound it reaches."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from bench.analysis.analysis import load
from bench.analysis.effects.declared_looks import follow, measured
from bench.analysis.effects.runs import Runs
from bench.analysis.stats import sequential
from bench.analysis.stats.sequential import Look
from bench.errors import UserError
from bench.report import write
from bench.report.content.effect_views import effect_table
from bench.report.content.prose import say
from bench.report.tables.statistics import comparisons
from bench.store import looks
from bench.store.looks import ReportedLook
from tests.simulations.rows import FIVE, PAIR, THREE_BY_TWO, planned

AT = (3, 5, 8)


def drawn(factors, shift, *, sd=1.0, seed=1):
    """Return an experiment and its runs: arms differ by ``shift`` from the first one's mean."""
    results = planned(tuple(factors.items()), AT[-1])
    generator = np.random.default_rng(seed)
    scores = sd * generator.standard_normal((len(results.arms), AT[-1]))
    scores += np.array(shift)[:, None] + generator.standard_normal(AT[-1])
    return results, Runs(dict(zip(results.arms, scores, strict=True)), tuple(range(AT[-1])))


def followed(results, runs, *, seeds=AT[-1], delta=None):
    """Decide with a number of seeds that every arm has."""
    available = dict.fromkeys(results.arms, seeds)
    return follow(results, runs, available, at=AT, delta=delta, higher_is_better=True)


def bounds(alpha=0.05, sides=2):
    """Return the bounds of two arms that are compared in pairs."""
    found = tuple(Look(n / AT[-1], n / 2, n - 1) for n in AT)
    return [sequential.bound(found[: k + 1], alpha, sides=sides) for k in range(len(AT))]


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 5, 30])
def test_a_pair_is_decided_at_the_first_look_whose_bound_t_reaches(shift):
    results, runs = drawn(PAIR, [0, shift])
    base, other = runs.scores.values()
    t = [stats.ttest_rel(other[:n], base[:n]).statistic for n in AT]
    reached = [abs(one) >= bound for one, bound in zip(t, bounds(), strict=True)]
    last = reached.index(True) if any(reached) else len(AT) - 1
    series = followed(results, runs)
    (one,) = series.comparisons
    assert (one.verdict == "better") == any(reached)
    assert (one.look, one.seeds, series.seeds) == (last + 1, AT[last], AT[last])
    assert one.contrast.t == pytest.approx(t[last])
    half = bounds()[last] * stats.sem((other - base)[: AT[last]])
    assert (one.low, one.high) == pytest.approx(
        (one.contrast.difference - half, one.contrast.difference + half)
    )
    assert series.planned == dict.fromkeys(results.arms, AT[last])
    assert series.over
    assert series.more == 0
    assert series.spared == 2 * (AT[-1] - AT[last])


def test_p_and_intervals_agree_with_verdicts():
    verdicts = set()
    for seed in range(6):
        results, runs = drawn(FIVE, [0, 1.2, 2, 3, 0], seed=seed)
        for one in followed(results, runs, delta=2.5).comparisons:
            verdicts.add(one.verdict)
            differs = one.verdict in ("better", "worse")
            if one.verdict != "equivalent":
                assert (one.p_adjusted <= 0.05) == differs
                assert differs == (one.low >= 0 or one.high <= 0)
            assert (one.p_equivalent <= 0.05) == (one.verdict == "equivalent")
            assert one.p_adjusted >= one.contrast.p
    assert verdicts == {"better", "equivalent", "inconclusive"}


def test_what_is_decided_leaves_its_alpha_to_the_others():
    results, runs = drawn(FIVE, [0, 0, 0, 0, 0])
    base, *others = runs.scores
    pairs = np.array([runs.scores[other] - runs.scores[base] for other in others])
    sizes = [6.0, 6.0, 6.0, 0.0]  # t of each at the last look: between the bounds of α / 4 and α
    alone, of_four = bounds()[-1], bounds(0.05 / 4)[-1]
    sizes[2] = (alone + of_four) / 2
    errors = stats.sem(pairs, axis=1)
    means = np.array(sizes) * errors - pairs.mean(1)
    scores = dict(runs.scores)
    for other, shift in zip(others, means, strict=True):
        scores[other] = scores[other] + shift
    only_last = dict.fromkeys(results.arms, AT[-1])
    series = follow(
        results, Runs(scores, runs.seeds), only_last, at=(8,), delta=None, higher_is_better=True
    )
    plain = [stats.t.isf(0.05 / k / 2, 7) for k in (4, 2)]
    assert sizes[0] > plain[0] > sizes[2] > plain[1]  # by itself Holm's method needs its steps
    assert [one.verdict for one in series.comparisons] == [*["better"] * 3, "inconclusive"]
    assert series.comparisons[2].low == 0  # the step shows the direction alone


def test_arms_that_are_decided_stop_and_the_baseline_goes_on():
    results, runs = drawn(FIVE, [0, 400, 0, 0, -400], sd=0.1)
    assert followed(results, runs, seeds=2).planned == dict.fromkeys(results.arms, 3)
    series = followed(results, runs, seeds=3)
    assert series.planned == {"none": 5, "flip": 3, "crop": 5, "colour": 5, "all": 3}
    assert [one.verdict for one in series.comparisons] == [
        "better",
        "inconclusive",
        "inconclusive",
        "worse",
    ]
    assert (series.look, series.seeds, series.following, series.over) == (1, 3, 5, False)
    assert series.more == 3 * (8 - 5)
    later = followed(results, runs)  # what is there besides changes nothing that was decided
    for i in (0, 3):
        one, same = series.followed[i], later.followed[i]
        assert (one.verdict, one.looks) == (same.verdict, same.looks)
        assert one.estimate.contrast == same.estimate.contrast


def test_arms_of_a_factorial_go_on_together():
    results, runs = drawn(THREE_BY_TWO, [0, 0, 400, 400, 0, 0], sd=0.1)
    series = followed(results, runs, seeds=3)
    assert series.comparisons[0].verdict == "better"
    assert set(series.planned.values()) == {5}


def test_equivalence_is_decided_with_a_bound_of_its_own():
    results, runs = drawn(PAIR, [0, 0], sd=0.2)
    base, other = runs.scores.values()
    difference, error = (other - base).mean(), stats.sem(other - base)
    needed = bounds(sides=1)[-1] * error + abs(difference)
    early = [
        bound * stats.sem((other - base)[:n]) + abs((other - base)[:n].mean())
        for n, bound in zip(AT[:2], bounds(sides=1), strict=False)
    ]
    assert needed < min(early)
    just = followed(results, runs, delta=1.0001 * needed).comparisons[0]
    assert (just.verdict, just.look) == ("equivalent", 3)
    assert just.p_equivalent == pytest.approx(0.05, rel=1e-3)
    less = followed(results, runs, delta=0.9999 * needed).comparisons[0]
    assert (less.verdict, less.look) == ("inconclusive", 3)
    assert followed(results, runs, delta=1.01 * min(early)).comparisons[0].look < 3


def test_runs_without_a_result_count_as_measured_and_an_arm_of_none_stops():
    results, runs = drawn(FIVE, [0, 0, 0, 0, 0])
    scores = {arm: row.copy() for arm, row in runs.scores.items()}
    scores["flip"][:3] = math.nan
    scores["crop"][1] = math.nan
    series = followed(results, Runs(scores, runs.seeds), seeds=3)
    flip, crop, colour, _ = series.comparisons
    assert flip.reason == "too few seeds finished in both"
    assert series.planned["flip"] == 3
    assert crop.contrast.df == 1
    assert colour.contrast.df == 2
    assert series.planned["crop"] == 5
    later = followed(results, Runs(scores, runs.seeds)).comparisons[1]
    assert (later.look, later.seeds, later.contrast.df) == (3, 7, 6)
    kept = np.delete(scores["crop"] - scores["none"], 1)
    assert later.contrast.t == pytest.approx(stats.ttest_1samp(kept, 0).statistic)


def test_runs_that_do_not_vary_are_decided_as_early_as_any_look_can():
    results, runs = drawn(PAIR, [0, 0])
    same = {arm: np.full(8, float(i)) for i, arm in enumerate(runs.scores)}
    (one,) = followed(results, Runs(same, runs.seeds)).comparisons
    assert (one.verdict, one.look) == ("better", 1)
    equal = {arm: np.zeros(8) for arm in runs.scores}
    (one,) = followed(results, Runs(equal, runs.seeds)).comparisons
    assert (one.verdict, one.look) == ("inconclusive", 3)


# Of three arms, the last is far below the first two, which are alike.
LOSSES = {"train.loss": ["ce", "dice", "dice+ce"]}
NOISE = {0: 0.0, 1: 0.004, 2: -0.003, 3: 0.001, 4: 0.002, 5: -0.002, 6: 0.003, 7: -0.001}


def score(arm, seed):
    return (0.6, 0.601, 0.1)[arm] + NOISE[(seed + 3 * arm) % 8] / (20 if arm == 2 else 1)


def stopped(make_store, seeds, **more):
    """A store with looks in which dice+ce was decided at the first of them."""
    values = {(arm, seed): score(arm, seed) for arm in range(3) for seed in range(8)}
    options = {"factors": LOSSES, "values": values, "looks": AT, "seeds": tuple(range(seeds))}
    plain = {"images": 0, "history": False}  # without the original study's score
    return make_store(**{**options, **plain, "stopped": {2: 3}, **more})


def test_a_report_says_which_look_it_is_and_what_was_not_needed(make_store):
    under_way, over = load(stopped(make_store, 5)), load(stopped(make_store, 8))
    assert measured(over) == {"ce": 8, "dice": 8, "dice+ce": 3}
    assert say(under_way, "answer")[1:] == [
        "Not decided yet: train.loss = dice (+0.08 points).",
        "This is look 2 of 3, after 5 seeds; what is not decided goes on to 8 seeds.",
    ]
    first, *others = say(over, "answer")
    assert first.startswith(
        "Compared with the baseline (ce), mean IoU is worse with train.loss = dice+ce (−50.03 "
        "points, 95 % interval "
    )
    assert others == [
        "Inconclusive: train.loss = dice (+0.10 points).",
        "The last was look 3 of 3, after 8 seeds; 5 of 24 planned trials were not needed.",
    ]
    assert "3 arms × at most 8 seeds (looks after 3, 5 and 8): 19 trials, all finished." in say(
        over, "design"
    )
    frame = comparisons(over)
    assert list(frame["look"]) == [3, 1]
    assert list(frame["seeds"]) == [8, 3]
    assert frame["seeds_to_decide"].isna().all()
    table = effect_table(over)
    assert "look" in table.headings
    assert not {"detectable, points", "seeds to decide"} & set(table.headings)


def test_fewer_seeds_of_an_arm_that_stopped_are_no_gap(make_store):
    over = load(stopped(make_store, 8))
    said = " ".join(say(over, "warnings"))
    assert "incomplete" not in said
    assert "do not all have results" not in said
    lost = load(stopped(make_store, 8, failures={(1, 6): "diverged"}))
    said = " ".join(say(lost, "warnings"))
    assert "The grid is incomplete: 1 of 19 trials has no result" in said
    assert "do not all have results under the same other settings" in said


def test_before_the_first_look_nothing_is_said_of_differences(make_store):
    lost = {(arm, 2): "not run" for arm in range(3)}
    found = load(stopped(make_store, 3, failures=lost))
    assert found.series.look == 0
    assert found.look is None
    (line,) = say(found, "answer")
    assert line.endswith("(ce) is possible yet: the first look is at 3 seeds.")


def test_reports_at_declared_looks_are_no_undeclared_series(make_store):
    write.write(stopped(make_store, 3), ["csv"])
    (kept,) = looks.read(store := stopped(make_store, 3))
    later = stopped(make_store, 8)
    assert later.folder == store.folder
    assert (kept.seeds, kept.declared) == (3, AT)
    found = load(later)
    assert found.earlier_looks == ()
    assert found.series is not None


def test_a_declaration_after_a_report_gives_verdicts_that_always_hold(make_store):
    store = stopped(make_store, 8)
    first = store.read_plan().trials[0].key
    looks.remember(store, ReportedLook(seeds=4, declared=(4,), first=first))
    found = load(store)
    assert found.earlier_looks == (4,)
    assert found.series is None
    assert any("undeclared series" in line for line in say(found, "warnings"))
    dice = found.effects.comparisons[0]
    assert dice.contrast.p == pytest.approx(1.0)
    assert not dice.look


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"looks": (3, 8, 5)}, "looks: do not rise to the number of all seeds"),
        ({"looks": (3, 5)}, "looks: do not rise to the number of all seeds"),
        ({"looks": (4, 8)}, r"'dice\+ce' has not each of the seeds once"),
        ({"looks": ()}, r"'dice\+ce' has not each of the seeds once"),
    ],
)
def test_a_plan_in_which_an_arm_has_other_seeds_than_of_a_look_is_refused(
    make_store, changes, said
):
    store = stopped(make_store, 8)
    store.write_plan(store.read_plan().model_copy(update=changes))
    with pytest.raises(UserError, match=said):
        store.read_plan()


def test_the_same_scores_give_the_same_series():
    results, runs = drawn(FIVE, [0, 1, 2, 3, 4])
    one, other = followed(results, runs), followed(results, runs)
    assert dataclasses.replace(one, followed=()) == dataclasses.replace(other, followed=())
    assert [each.verdict for each in one.followed] == [each.verdict for each in other.followed]
