"""Times by a device's own events, and the spin that keeps it busy, on a made-up CUDA device."""

import itertools

import numpy as np
import pytest
import torch

from bench.profiling import clocks, queued, timing
from tests.bench.profiling.fake_clock import DEPTH, FakeClock, FakeCuda


@pytest.fixture
def cuda(monkeypatch):
    """A CUDA device with a clock that the test turns; a clock of ours that reads it."""

    def made(rate=1.5e9):
        fake = FakeCuda(rate)
        fake.take_the_place_of(torch.cuda, monkeypatch)
        clock = clocks.clock_of(torch.device("cuda:0"))
        monkeypatch.setattr(clock, "now", fake.clock.now)
        return fake, clock

    return made


@pytest.mark.parametrize("rate", [0.4e9, 1.98e9, 3.1e9])
def test_a_spin_lasts_as_long_as_it_should_at_every_clock_rate(cuda, rate):
    _, clock = cuda(rate)
    assert clock.spin_rate() == pytest.approx(rate)
    clock.wait()
    start = clock.mark()
    clock.occupy(0.010)
    end = clock.mark()
    clock.wait()
    assert clock.between(start, end) == pytest.approx(10)


def test_a_spin_is_calibrated_at_the_clock_rate_that_a_gpu_rises_to(cuda):
    _, clock = cuda(itertools.chain([0.2e9, 1e9], itertools.repeat(2e9)))
    assert clock.spin_rate() == pytest.approx(2e9)


def test_cuda_events_measure_the_device_alone(cuda):
    fake, clock = cuda()
    work = fake.clock.work(2e-3, issue=7e-3)
    assert timing.measure(work, clock, calls=10, windows=2) == pytest.approx([7.2, 7.2])
    assert queued.busy(work, clock).times == pytest.approx([2.0] * queued.QUEUED_CALLS)


@pytest.mark.parametrize(
    ("device", "host", "said"), [(5e-3, 1e-3, False), (4e-3, 3.9e-3, False), (3e-3, 9e-3, True)]
)
def test_a_device_that_waits_for_its_host_is_called_host_bound(device, host, said):
    clock = FakeClock(queues=True)
    work = clock.work(device, issue=host)
    warm = timing.warm_up(work, clock, window=0.2, limit=5.0)
    wall = timing.measure(work, clock, calls=warm.calls, windows=8)
    busy = queued.busy(work, clock).times
    assert wall == pytest.approx([1e3 * max(device, host)] * 8, rel=0.1)
    assert busy == pytest.approx([1e3 * device] * queued.QUEUED_CALLS)
    words = timing.host_bound(wall, busy)
    assert (words is not None) == said
    if words is not None:
        assert "works 3.00 ms of the 9." in words


def test_without_a_queue_there_are_no_device_times():
    clock = FakeClock()
    assert queued.busy(clock.work(1.0), clock) == queued.Queued()
    assert timing.host_bound((1.0, 2.0, 3.0), ()) is None


def test_a_spin_that_ended_before_a_call_was_issued_is_made_longer():
    """Issuing takes 1 ms at first, and then 8: the first spin of 2.5 ms is over too early."""
    clock = FakeClock(queues=True)
    issuing = itertools.chain([1e-3], itertools.repeat(8e-3))

    def work():
        clock.launch(0.5e-3)
        clock.launch(0.5e-3, issue=next(issuing))

    found = queued.busy(work, clock)
    assert found.problem is None
    assert found.times == pytest.approx([1.0] * queued.QUEUED_CALLS)


def test_a_call_that_waits_for_the_device_is_named(cuda):
    fake, clock = cuda()
    found = queued.busy(fake.clock.work(4e-3, issue=1e-3, kernels=10, waits=True), clock)
    assert found.times == ()
    assert found.problem.startswith("a call waits for the device in the middle of its work (")
    assert "fake_clock.py:" in found.problem
    assert fake.mode == 0  # as it was before


def test_a_call_of_more_kernels_than_fit_into_the_queue_has_no_device_time(cuda):
    fake, clock = cuda()
    found = queued.busy(fake.clock.work(0.1, issue=1e-3, kernels=DEPTH + 1), clock)
    assert found.times == ()
    assert "more kernels than fit into the device's queue" in found.problem
    fitting = queued.busy(fake.clock.work(0.1, issue=1e-3, kernels=DEPTH - 1), clock)
    assert np.median(fitting.times) == pytest.approx(100)
