"""Timing by a clock that the tests turn: no test here is decided by how fast this machine is."""

import itertools

import numpy as np
import pytest

from bench.analysis.stats.sample import describe
from bench.experiment.trial import TimingSettings
from bench.profiling import timing


class FakeClock(timing.Clock):
    """A clock that only work moves on. A device with a queue works off what is issued to it."""

    def __init__(self, *, queues=False):
        self.queues = queues
        self.host = 0.0  # seconds
        self.device = 0.0  # when the device will have done all it was told
        self.waits = 0

    def now(self):
        return self.host

    def wait(self):
        self.waits += 1
        self.host = max(self.host, self.device)

    def occupy(self, seconds):
        self.device = max(self.device, self.host) + seconds

    def mark(self):
        return max(self.device, self.host) if self.queues else self.host

    def work(self, seconds, issue=0.0):
        """Return work that takes the device ``seconds``, one after another, and the host ``issue``."""
        times = itertools.repeat(seconds) if isinstance(seconds, float) else iter(seconds)

        def call():
            self.host += issue
            if self.queues:
                self.device = max(self.device, self.host) + next(times)
            else:
                self.host += next(times)

        return call


def measured(clock, work, window=0.2, limit=5.0):
    warm = timing.warm_up(work, clock, window=window, limit=limit)
    return warm, timing.measure(work, clock, calls=warm.calls, windows=8)


@pytest.mark.parametrize("queues", [False, True])
@pytest.mark.parametrize("seconds", [2e-6, 0.01, 0.7])
def test_a_call_takes_what_it_takes(queues, seconds):
    clock = FakeClock(queues=queues)
    warm, samples = measured(clock, clock.work(seconds))
    assert warm.settled
    assert samples == pytest.approx([1e3 * seconds] * 8, rel=1e-6)
    assert warm.calls * seconds >= 0.19
    assert len(warm.windows_ms) == timing.TOGETHER


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
    times = itertools.chain([0.01] * 90, [2.0], itertools.repeat(0.01))
    _, samples = measured(clock, clock.work(times))
    assert max(samples) > 20
    assert timing.quartiles(samples)[1] == pytest.approx(10)


def test_work_that_slows_down_for_a_while_is_waited_for():
    clock = FakeClock()
    speeds = itertools.chain(np.linspace(0.5, 0.3, 12), itertools.repeat(0.3))
    warm, samples = measured(clock, clock.work(speeds), limit=60)
    assert warm.settled
    assert len(warm.windows_ms) > timing.TOGETHER
    assert samples == pytest.approx([300] * 8)


def test_a_warm_up_that_never_settles_is_bounded_and_says_so():
    clock = FakeClock()
    speeds = itertools.cycle([0.3, 0.4])
    warm, _ = measured(clock, clock.work(speeds), limit=5.0)
    assert not warm.settled
    assert 4.5 < sum(warm.windows_ms) / 1e3 < 6.5
    assert warm.spread == pytest.approx(1 / 3)
    assert warm.problem(clock) == "the warm-up did not settle: its last windows differ by 33%"


@pytest.mark.parametrize(
    ("spread", "settled", "on_cpu", "on_gpu"),
    [(0.01, True, False, False), (0.05, False, False, True), (0.3, False, True, True)],
)
def test_a_host_may_swing_more_than_a_gpu(spread, settled, on_cpu, on_gpu):
    warm = timing.WarmUp(1.0, 1, (9.0, 1.0, 1.0 + spread, 1.0), settled)
    assert (warm.problem(FakeClock()) is not None) == on_cpu
    assert (warm.problem(FakeClock(queues=True)) is not None) == on_gpu


@pytest.mark.parametrize(("spread", "settled"), [(1.019, True), (1.021, False)])
def test_three_windows_within_two_per_cent(spread, settled):
    assert timing._agree([9.0, 1.0, spread, 1.01]) is settled
    assert not timing._agree([1.0, 1.0])


def test_windows_that_become_too_short_are_made_longer():
    clock = FakeClock()
    times = itertools.chain([0.3] * 3, itertools.repeat(0.001))
    warm, _ = measured(clock, clock.work(times))
    assert warm.calls * 0.001 >= 0.19


@pytest.mark.parametrize(
    ("device", "host", "said"), [(5e-3, 1e-3, False), (4e-3, 3.9e-3, False), (3e-3, 9e-3, True)]
)
def test_a_device_that_waits_for_its_host_is_called_host_bound(device, host, said):
    clock = FakeClock(queues=True)
    work = clock.work(device, issue=host)
    _, wall = measured(clock, work)
    busy = timing.busy(work, clock)
    assert wall == pytest.approx([1e3 * max(device, host)] * 8, rel=0.1)
    assert busy == pytest.approx([1e3 * device] * timing.QUEUED_CALLS)
    words = timing.host_bound(wall, busy)
    assert (words is not None) == said
    if words is not None:
        assert "works 3.00 ms of the 9." in words


def test_without_a_queue_there_are_no_device_times():
    clock = FakeClock()
    assert timing.busy(clock.work(1.0), clock) == ()
    assert timing.host_bound((1.0, 2.0, 3.0), ()) is None


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


class Torch:
    """What CudaClock asks of torch.cuda, as a device that works off its queue."""

    def __init__(self):
        self.clock = FakeClock(queues=True)
        torch = self

        class Event:
            def __init__(self, *, enable_timing):
                assert enable_timing

            def record(self, stream):
                assert stream == "stream of cuda:0"
                self.time = torch.clock.mark()

            def elapsed_time(self, other):
                return (other.time - self.time) * 1e3

        self.Event = Event

    def synchronize(self, device):
        self.clock.wait()

    def current_stream(self, device):
        return f"stream of {device}"

    def _sleep(self, cycles):
        assert isinstance(cycles, int)
        self.clock.occupy(cycles / timing.CYCLES_PER_SECOND)


def test_cuda_events_measure_the_device_alone(monkeypatch):
    import torch

    fake = Torch()
    for name in ("Event", "synchronize", "current_stream", "_sleep"):
        monkeypatch.setattr(torch.cuda, name, getattr(fake, name))
    clock = timing.clock_of(torch.device("cuda:0"))
    monkeypatch.setattr(clock, "now", fake.clock.now)
    work = fake.clock.work(2e-3, issue=7e-3)
    assert timing.measure(work, clock, calls=10, windows=2) == pytest.approx([7.2, 7.2])
    assert timing.busy(work, clock) == pytest.approx([2.0] * timing.QUEUED_CALLS)


def test_one_callable_under_two_names_is_as_fast_as_itself():
    """Comparisons of five pairs of processes, each with a speed and noise of its own."""
    rng = np.random.default_rng(0)

    def process():
        clock, speed = FakeClock(), 0.01 * np.exp(0.02 * rng.standard_normal())
        noise = iter(speed * (1 + 0.001 * rng.random(10_000)))
        _, samples = measured(clock, clock.work(noise))
        return np.log(timing.quartiles(samples)[1])

    ratios = [describe(process() - process() for _ in range(5)) for _ in range(200)]
    covered = np.mean([ratio.low <= 0 <= ratio.high for ratio in ratios])
    assert covered == pytest.approx(0.95, abs=0.04)


def test_a_long_first_call_leaves_time_to_settle():
    clock = FakeClock()
    times = itertools.chain([600.0], [0.3, 0.2] * 4, itertools.repeat(0.25))
    warm, samples = measured(clock, clock.work(times), limit=10)
    assert (warm.first_ms, warm.settled) == (pytest.approx(600_000), True)
    assert samples == pytest.approx([250] * 8)
