"""Looks that nobody declared: which count, and what is said of them."""

import numpy as np
import pytest

from bench.analysis.analysis import load
from bench.analysis.stats import e_process
from bench.errors import UserError
from bench.report import write
from bench.report.content.prose import say
from bench.store import looks
from bench.store.folder import Store
from bench.store.looks import ReportedLook
from tests.bench.damage import HARM

FIRST = "k0000s0"


def look(seeds, declared=None, first=FIRST):
    return ReportedLook(seeds=seeds, declared=(declared or seeds,), first=first)


SCORES = {0: (0.50, 0.52), 1: (0.51, 0.525), 2: (0.49, 0.511), 3: (0.52, 0.541), 4: (0.5, 0.519)}


def store_of(make_store, seeds, **more):
    values = {(arm, seed): SCORES[seed][arm] for arm in (0, 1) for seed in range(seeds)}
    return make_store(seeds=tuple(range(seeds)), values=values, **more)


def test_seeds_that_are_added_after_a_look_make_a_series():
    known = [look(3), look(5)]
    assert looks.undeclared([], look(3), complete=True) == ()
    assert looks.undeclared(known[:1], look(3), complete=True) == ()
    assert looks.undeclared(known[:1], look(5), complete=True) == (3,)
    assert looks.undeclared(known, look(8), complete=True) == (3, 5)


def test_looks_before_all_declared_seeds_are_there_do_no_harm_once_they_are():
    known = [look(3, 10), look(4, 10)]
    assert looks.undeclared(known, look(5, 10), complete=False) == (3, 4)
    assert looks.undeclared(known, look(10, 10), complete=True) == ()
    assert looks.undeclared(known, look(5, 5), complete=True) == (3, 4)  # stopped early after all


def test_looks_at_other_trials_do_not_count():
    assert looks.undeclared([look(3, first="other")], look(5), complete=True) == ()


def test_declared_looks_do_no_harm():
    declared = {"declared": (3, 5, 8), "first": FIRST}
    known = [ReportedLook(seeds=3, **declared), ReportedLook(seeds=5, **declared)]
    assert looks.undeclared(known, ReportedLook(seeds=8, **declared), complete=False) == ()
    assert looks.undeclared(known, look(8), complete=True) == (3, 5)


def test_a_second_look_with_more_seeds_gets_a_verdict_that_always_holds(make_store):
    first = store_of(make_store, 3)
    write.write(first, ["csv"])
    kept = looks.read(first)
    assert kept == (look(3),)
    before = load(first)
    assert not before.earlier_looks
    assert before.effects.comparisons[0].verdict == "better"
    assert not [line for line in say(before, "warnings") if "undeclared" in line]

    store = store_of(make_store, 5)
    looks.remember(store, kept[0])
    looks.remember(store, look(2))
    assert say(load(store), "warnings")[0].startswith(
        "Look 3 of an undeclared series: comparisons were reported with 2 and 3 seeds before"
    )
    (store.folder / "looks.json").unlink()
    looks.remember(store, kept[0])
    found = load(store)
    assert found.earlier_looks == (3,)
    (line,) = [line for line in say(found, "warnings") if "undeclared" in line]
    assert line.startswith("Look 2 of an undeclared series: comparisons were reported with 3 seeds")
    (one,) = found.effects.comparisons
    differences = np.array([b - a for a, b in SCORES.values()])
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(5))
    assert one.p_adjusted == pytest.approx(e_process.p_value(t, 4, 2.5))
    assert (one.verdict == "better") == (one.low > 0) == (one.p_adjusted <= 0.05)
    write.write(store, ["html", "md", "csv", "tex"])
    assert looks.read(store) == (look(3), look(5))


def test_the_same_report_made_again_changes_nothing(make_store):
    store = store_of(make_store, 3)
    write.write(store, ["csv"])
    before = (store.folder / "looks.json").stat().st_mtime_ns
    write.write(store, ["csv"])
    assert (store.folder / "looks.json").stat().st_mtime_ns == before


def test_a_report_that_is_written_elsewhere_leaves_the_results_alone(make_store, tmp_path):
    store = store_of(make_store, 3)
    write.write(store, ["csv"], output=tmp_path / "elsewhere")
    assert not (store.folder / "looks.json").exists()


def test_a_look_that_cannot_be_kept_is_no_error(make_store):
    store = store_of(make_store, 3)
    (store.folder / "looks.json").symlink_to("/proc/self/fd/1")  # which is never replaced
    with pytest.raises(UserError, match=r"looks\.json"):
        looks.read(store)
    (store.folder / "looks.json").unlink()
    readonly = Store(store.folder / "trials" / f"{FIRST}.json")  # no folder: nothing can be in it
    looks.remember(readonly, look(3))


@pytest.mark.parametrize("harm", [name for name in HARM if name != "removed"])
def test_a_damaged_file_of_looks_is_named(make_store, harm):
    store = store_of(make_store, 3)
    looks.remember(store, look(3))
    HARM[harm](store.folder / "looks.json")
    with pytest.raises(UserError, match=r"looks\.json: damaged"):
        load(store)
