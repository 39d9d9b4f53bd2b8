"""What the clock reads on this machine: known times, known ratios, and two names for one network.

They need a quiet machine; each says by how much it was off. In the ordinary tests a made-up clock
takes the place of this one.
"""

import math
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from bench.analysis.stats.sample import describe
from bench.experiment.code_digest import ROOT
from bench.profiling import timing

CLOCK = timing.Clock()
RUNS, REPETITIONS = 20, 5


def milliseconds(work, *, window=0.3, windows=8):
    warm = timing.warm_up(work, CLOCK, window=window, limit=10)
    samples = timing.measure(work, CLOCK, calls=warm.calls, windows=windows)
    return timing.quartiles(samples)[1]


def test_ten_milliseconds_are_ten_milliseconds():
    assert milliseconds(lambda: time.sleep(0.01)) == pytest.approx(10, rel=0.02)


def products(count):
    torch.set_num_threads(1)
    left = torch.randn(192, 192)

    def work():
        for _ in range(count):
            left @ left

    return work


def test_doubled_work_takes_twice_as_long():
    milliseconds(products(40))  # warms up what both use
    ratios = [
        milliseconds(products(80), windows=4) / milliseconds(products(40), windows=4)
        for _ in range(5)
    ]
    assert statistics.median(ratios) == pytest.approx(2.0, rel=0.03)


def test_a_slow_first_step_does_not_move_the_result():
    waits = iter([1.0, 0.3])

    def work():
        time.sleep(next(waits, 0.01))

    assert milliseconds(work) == pytest.approx(milliseconds(lambda: time.sleep(0.01)), rel=0.02)


STEP = """
import torch
from bench.profiling import timing
from unet import UNet

torch.set_num_threads(2)
torch.manual_seed(0)
model = UNet(3, 5, base_channels=8, depth=3).to(memory_format=torch.channels_last)
images = torch.randn(2, 3, 64, 64).to(memory_format=torch.channels_last)

def step():
    model.zero_grad(set_to_none=True)
    model(images).square().mean().backward()

clock = timing.Clock()
warm = timing.warm_up(step, clock, window=0.1, limit=3)
print(timing.quartiles(timing.measure(step, clock, calls=warm.calls, windows=8))[1])
"""


@pytest.mark.scale
def test_one_network_under_two_names_is_as_fast_as_itself(record_property):
    """Twenty comparisons of a network with itself: 10 processes each, in random order.

    The 95 % interval of the ratio has to cover 1.0 in 19 of them; 19 is what is expected of an
    interval that is right, so one run in four of this check misses it by chance.
    """
    rng = np.random.default_rng(0)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GOMP_SPINCOUNT": "20000"}

    def measured():
        command = [sys.executable, "-c", STEP]
        done = subprocess.run(command, capture_output=True, check=True, env=environment)
        return math.log(float(done.stdout))

    ratios = []
    for _ in range(RUNS):
        pairs = []
        for _ in range(REPETITIONS):
            times = {int(name): measured() for name in rng.permutation(2)}
            pairs.append(times[1] - times[0])
        ratios.append(describe(pairs))
    covered = sum(ratio.low <= 0 <= ratio.high for ratio in ratios)
    widths = [math.exp(ratio.high) - math.exp(ratio.low) for ratio in ratios]
    record_property("covered", covered)
    record_property("median width of an interval", float(np.median(widths)))
    assert covered >= RUNS - 1, f"1.0 lies in {covered} of {RUNS} intervals"
