"""The simulation of looks, small: ours errs no more often than α, and the old way does."""

import numpy as np

from tests.simulations import looks


def test_verdicts_that_always_hold_err_less_often_than_alpha():
    generator = np.random.default_rng(5)
    at = range(3, 11)
    assert looks.series(at, looks.one_look, 20_000, generator)[0] > 0.12
    assert looks.series(at, looks.any_time, 20_000, generator)[0] < 0.05
    found = looks.series(at, looks.declared(at), 20_000, generator)[0]
    assert abs(found - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 20_000)


def test_verdicts_of_whole_experiments_err_less_often_than_alpha():
    found = looks.false_verdicts("five arms", (3, 6), looks.always, 100, np.random.default_rng(6))
    assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)


def test_looks_save_seeds():
    at, generator = range(3, 21), np.random.default_rng(7)
    share, seeds = looks.series(at, looks.declared(at), 5000, generator, effect=1.5)
    fixed, _ = looks.series((20,), looks.one_look, 5000, generator, effect=1.5)
    assert share > fixed - 0.05
    assert seeds < 15


def test_declared_looks_of_whole_experiments_err_no_more_often_than_alpha_and_save_trials():
    generator, repetitions = np.random.default_rng(8), 60
    truth = looks.NULL["five arms"]
    found = looks.false_at_looks(truth, looks.LOOKS, repetitions, generator)
    assert found <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repetitions)
    far = looks.Truth(looks.PAIR, effect={"dice": 8.0})
    needed = [each.seeds for each in looks.followed(far, looks.LOOKS, 20, generator)]
    assert np.mean(needed) < 6
