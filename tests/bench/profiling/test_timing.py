"""Timing by a clock that the tests turn: no test here is decided by how fast this machine is."""

import itertools

import numpy as np
import pytest

from bench.analysis.stats.sample import describe
from bench.experiment.trial import TimingSettings
from bench.profiling import steadiness, timing
from tests.bench.profiling.fake_clock import FakeClock


def measured(clock, work, window=0.2, limit=5.0):
    warm = timing.warm_up(work, clock, window=window, limit=limit)
    return warm, timing.measure(work, clock, calls=warm.calls, windows=8)


@pytest.mark.parametrize("queues", [False, True])
@pytest.mark.parametrize("seconds", [2e-5, 0.01, 0.7])
def test_a_call_takes_what_it_takes(queues, seconds):
    clock = FakeClock(queues=queues)
    warm, samples = measured(clock, clock.work(seconds))
    assert warm.settled
    assert samples == pytest.approx([1e3 * seconds] * 8, rel=1e-6)
    assert warm.calls * seconds >= 0.19
    assert len(warm.windows_ms) == steadiness.FEWEST


def test_doubled_work_takes_twice_as_long():
    clock = FakeClock(queues=True)
    once = measured(clock, clock.work(0.003))[1]
    twice = measured(clock, clock.work(0.006))[1]
    assert np.median(twice) / np.median(once) == pytest.approx(2)


def test_the_device_is_waited_for_around_a_window_and_not_inside_it():
    clock = FakeClock(queues=True)
    timing.measure(clock.work(0.01), clock, calls=50, windows=4)
    assert clock.waits == 8


@pytest.mark.parametrize("slow", [1, 5])
def test_slow_first_calls_do_not_move_the_result(slow):
    clock = FakeClock()
    times = itertools.chain([3.0] * slow, itertools.repeat(0.01))
    warm, samples = measured(clock, clock.work(times), limit=60)
    assert warm.first_ms == pytest.approx(3000)
    assert timing.quartiles(samples) == pytest.approx((10.0, 10.0, 10.0))


def test_a_slow_call_while_measuring_does_not_move_the_median():
    clock = FakeClock()
    times = itertools.chain([0.01] * 200, [2.0], itertools.repeat(0.01))
    _, samples = measured(clock, clock.work(times))
    assert max(samples) > 20
    assert timing.quartiles(samples)[1] == pytest.approx(10)


def test_work_that_slows_down_for_a_while_is_waited_for():
    clock = FakeClock()
    speeds = itertools.chain(np.linspace(0.5, 0.3, 12), itertools.repeat(0.3))
    warm, samples = measured(clock, clock.work(speeds), limit=60)
    assert warm.settled
    assert len(warm.windows_ms) > steadiness.FEWEST
    assert samples == pytest.approx([300] * 8)


def test_a_warm_up_that_never_settles_is_bounded_and_says_so():
    clock = FakeClock()
    speeds = (0.4 * 0.98**number for number in itertools.count())
    warm, _ = measured(clock, clock.work(speeds), limit=5.0)
    assert not warm.settled
    assert 4.5 < sum(warm.windows_ms) / 1e3 < 6.5
    assert warm.drift == pytest.approx(0.98**6 - 1, abs=0.01)  # of seven windows
    queue = FakeClock(queues=True)
    assert (
        warm.problem(queue) == "the warm-up did not settle: its last windows became faster by 12%"
    )
    assert warm.problem(clock) is None


@pytest.mark.parametrize(
    ("drift", "settled", "on_cpu", "on_gpu"),
    [(0.01, True, False, False), (0.05, False, False, True), (-0.3, False, True, True)],
)
def test_a_host_may_swing_more_than_a_gpu(drift, settled, on_cpu, on_gpu):
    rising = tuple(1 + drift * (place / 5 - 0.5) for place in range(6))
    warm = timing.WarmUp(1.0, 1, (9.0, *rising), settled)
    assert warm.drift == pytest.approx(drift)
    assert (warm.problem(FakeClock()) is not None) == on_cpu
    assert (warm.problem(FakeClock(queues=True)) is not None) == on_gpu


def test_few_windows_are_enough_where_time_is_short():
    clock = FakeClock()
    warm, _ = measured(clock, clock.work(4.0), limit=5.0)
    assert (warm.windows_ms, warm.settled) == ((4e3,) * timing.FEWEST, True)
    clock = FakeClock()
    warm, _ = measured(clock, clock.work(itertools.cycle([4.0, 5.0])), limit=5.0)
    assert not warm.settled


def test_windows_that_become_too_short_are_made_longer():
    clock = FakeClock()
    times = itertools.chain([0.3] * 3, itertools.repeat(0.001))
    warm, _ = measured(clock, clock.work(times))
    assert warm.calls * 0.001 >= 0.19


def test_quartiles_are_those_of_numpy():
    rng = np.random.default_rng(0)
    for size in (1, 2, 3, 10):
        samples = rng.random(size)
        assert timing.quartiles(tuple(samples)) == tuple(np.percentile(samples, [25, 50, 75]))


def test_the_setting_is_called_pass():
    assert TimingSettings.model_validate({"pass": "forward"}).work == "forward"
    assert TimingSettings.model_validate({"pass": "loader"}).model_dump()["pass"] == "loader"
    with pytest.raises(ValueError, match="work\n  Extra inputs are not permitted"):
        TimingSettings.model_validate({"work": "forward"})


def test_one_callable_under_two_names_is_as_fast_as_itself():
    """Comparisons of five pairs of processes, each with a speed and noise of its own."""
    rng = np.random.default_rng(0)

    def process():
        clock, speed = FakeClock(), 0.01 * np.exp(0.02 * rng.standard_normal())
        noise = iter(speed * (1 + 0.001 * rng.random(10_000)))
        _, samples = measured(clock, clock.work(noise))
        return np.log(timing.quartiles(samples)[1])

    ratios = [describe(process() - process() for _ in range(5)) for _ in range(100)]
    covered = np.mean([ratio.low <= 0 <= ratio.high for ratio in ratios])
    assert covered == pytest.approx(0.95, abs=0.06)


def test_a_long_first_call_leaves_time_to_settle():
    clock = FakeClock()
    times = itertools.chain([600.0], [0.3, 0.2] * 4, itertools.repeat(0.25))
    warm, samples = measured(clock, clock.work(times), limit=10)
    assert (warm.first_ms, warm.settled) == (pytest.approx(600_000), True)
    assert samples == pytest.approx([250] * 8)


def noisy(rng, noise, trend=lambda number: 1.0):
    """Calls of 0.3 s with noise of a share of that, one a window."""
    for number in itertools.count():
        yield 0.3 * trend(number) * (1 + noise * rng.standard_normal())


@pytest.mark.parametrize(("noise", "most"), [(0.003, 8), (0.01, 40), (0.03, 70)])
def test_noise_is_no_trend(noise, most):
    """In 20 processes that are steady but for noise, hardly any warm-up is held against them."""
    rng, settled, windows = np.random.default_rng(1), [], []
    for _ in range(20):
        clock = FakeClock(queues=True)
        warm = timing.warm_up(clock.work(noisy(rng, noise)), clock, window=0.2, limit=20.0)
        settled.append(warm.problem(clock) is None)
        windows.append(len(warm.windows_ms))
    assert np.mean(settled) >= 0.9
    assert np.mean(windows) < most


def test_a_trend_within_noise_of_three_per_cent_is_waited_for():
    """Times begin 30 % too long and approach the true one; three windows agree by chance."""
    rng, left, by_chance = np.random.default_rng(2), [], []
    for _ in range(15):
        clock = FakeClock(queues=True)
        slow = lambda number: 1 + 0.3 * np.exp(-number / 6)  # noqa: E731
        work = clock.work(noisy(rng, 0.03, slow))
        warm = timing.warm_up(work, clock, window=0.2, limit=20.0)
        left.append(slow(len(warm.windows_ms)) - 1)
        together = (np.ptp(warm.windows_ms[at : at + 3]) < 6 for at in itertools.count())
        by_chance.append(slow(next(at for at, found in enumerate(together) if found) + 3) - 1)
    assert np.mean(left) < 0.005
    assert np.mean(by_chance) > 0.03  # what the rule of three windows within 2 % leaves


@pytest.mark.parametrize("noise", [0.0, 0.003, 0.03])
def test_measuring_ends_when_the_median_is_known_well_enough(noise):
    rng, off, windows = np.random.default_rng(3), [], []
    for _ in range(40):
        clock = FakeClock()
        found = timing.measure_until(
            clock.work(noisy(rng, noise)),
            clock,
            calls=1,
            windows=10,
            standard_error=0.005,
            limit=100.0,
        )
        assert found.ended == "standard error"
        assert found.standard_error <= 0.005
        off.append(np.median(found.times) / 300 - 1)
        windows.append(len(found.times))
    assert np.std(off) < 0.007
    assert np.mean(windows) == 10 if noise < 0.01 else np.mean(windows) > 30


def test_measuring_ends_when_time_is_up_and_says_so():
    rng, clock = np.random.default_rng(4), FakeClock()
    found = timing.measure_until(
        clock.work(noisy(rng, 0.2)), clock, calls=1, windows=10, standard_error=0.005, limit=9.0
    )
    assert found.ended == "time"
    assert found.standard_error > 0.005
    assert sum(found.times) / 1e3 == pytest.approx(9.0, abs=1.0)


def test_the_standard_error_of_a_median_is_its_spread_over_repetitions():
    rng = np.random.default_rng(5)
    samples = 100 + 3 * rng.standard_normal((500, 25))
    claimed = np.mean([steadiness.standard_error(times) for times in samples])
    assert claimed == pytest.approx(np.median(samples, axis=1).std() / 100, rel=0.15)


def test_the_test_for_trend_errs_as_often_as_it_says():
    rng = np.random.default_rng(6)
    found = np.mean([steadiness.has_trend(rng.exponential(size=20) + 9) for _ in range(1000)])
    assert 0.02 < found < 0.06
    assert steadiness.has_trend([1.0, 1.02, 1.03, 1.05, 1.06, 1.07])
    assert not steadiness.has_trend([1.0, 1.001, 1.002, 1.003, 1.004, 1.0049])  # too little
    assert not steadiness.has_trend([1.0] * 9)
    assert not steadiness.has_trend([2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])  # one slow call
