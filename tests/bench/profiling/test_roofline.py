"""Floors by hand, by published figures, and by torch's own count of operations."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.components.built_in import BUILT_IN
from bench.profiling import peaks, roofline, timing
from bench.profiling.peaks import Peaks
from bench.profiling.roofline import Cost
from bench.training import models
from bench.training.models import ModelSettings
from unet import UNet

H100 = Peaks(flops=800e12, bytes=3.0e12)


def costs(network, *shape, precision="bf16", train=True, moments=None):
    with torch.device("meta"):
        images = torch.empty(shape)
        return roofline.costs(network(), images, precision=precision, train=train, moments=moments)


def milliseconds_of(found):
    return sum(cost.bound_ms(H100) for cost in found)


def convolutions(found):
    return [cost for cost in found if "convolution" in cost.kind]


@pytest.mark.parametrize(
    ("network", "side", "channels", "gmacs"),
    [(UNet.paper, 572, 1, 150.4), (lambda: UNet(3, 21), 512, 3, 193.0)],
)
def test_multiplications_of_the_paper_and_of_the_padded_network(network, side, channels, gmacs):
    found = costs(network, 1, channels, side, side, train=False)
    assert sum(cost.flops for cost in found) / 2e9 == pytest.approx(gmacs, abs=0.05)


@pytest.mark.parametrize(
    ("window", "moved", "together"),
    [  # multiplications of a pixel: positions of a layer × its taps and maps, by the layer table
        (
            65,
            62**2 * 16 * 48 + (28**2 * 16 + 10**2 * 25) * 48**2 + 25 * 48 * 200 + 400,
            16 * 48 + (16 + 25) * 48**2 + 25 * 48 * 200 + 400,
        ),
        (
            95,
            92**2 * 16 * 48 + (42**2 * 25 + 18**2 * 16 + 6**2 * 16) * 48**2 + 9 * 48 * 200 + 400,
            16 * 48 + (25 + 16 + 16) * 48**2 + 9 * 48 * 200 + 400,
        ),
    ],
)
def test_multiplications_of_a_window_moved_and_together(window, moved, together):
    settings = ModelSettings(name="sliding_window", window=window, base_channels=48)
    build = models.architecture(settings).window
    found = costs(lambda: build(1, 2), 1, 1, window, window, train=False)
    assert sum(cost.flops for cost in found) / 2 == moved
    # Beyond one pixel, each further one takes `together` where nothing is at an edge: grow twice.
    sides = [window + grown for grown in (999, 1000, 1001)]
    flops = [
        sum(c.flops for c in costs(lambda: models.build(settings, 1, 2), 1, 1, s, s, train=False))
        for s in sides
    ]
    assert (flops[2] - 2 * flops[1] + flops[0]) / 2 == 2 * together  # second difference of a n² + …


@pytest.mark.parametrize(
    ("batch", "side", "milliseconds"),
    [(16, 192, 3.52), (16, 256, 16e3 / 2556), (8, 512, 8e3 / 639)],
)
def test_bound_of_a_training_step_on_an_h100(batch, side, milliseconds):
    found = convolutions(costs(lambda: UNet(3, 21), batch, 3, side, side))
    # The published bounds also give the first layer a gradient of its input, which is not needed.
    first = found[0]
    assert (first.layer, first.part) == ("inc.double_conv.0", "forward")
    bound = milliseconds_of([*found, first])
    assert bound == pytest.approx(milliseconds, rel=2e-3)
    assert milliseconds_of(found) < bound


@pytest.mark.parametrize("name", BUILT_IN["network"])
@pytest.mark.parametrize("train", [False, True])
def test_operations_are_those_that_torch_counts(name, train):
    settings = ModelSettings(name=name, base_channels=8, encoder="resnet18")
    side = 188 if models.architecture(settings).margin else 64
    with torch.device("meta"):
        network, images = models.build(settings, 3, 5), torch.empty(2, 3, side, side)
    found = roofline.costs(network, images, precision="fp32", train=train)
    with FlopCounterMode(display=False) as counter:
        logits = network.train(train)(images)
        if train:
            logits.sum().backward()
    assert sum(cost.flops for cost in found) == counter.get_total_flops()


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.out = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        x = self.norm(self.conv(x)).relu()
        below = self.up(self.pool(x))
        return self.out(torch.cat([x, below + x], 1))


def test_bytes_by_hand():
    found = costs(Small, 5, 2, 8, 8, moments=2)
    conv, up, out = 4 * 2 * 9, 4 * 4 * 4, 3 * 8
    x, middle, small, joined, logits = (
        5 * pixels * channels for pixels, channels in ((64, 2), (64, 4), (16, 4), (64, 8), (64, 3))
    )
    by_hand = [  # values of maps at 2 bytes; gradients of weights at 4
        ("conv", "forward", 2 * (x + conv + middle)),
        ("conv", "backward", 2 * (x + middle) + 4 * conv),
        ("pool", "forward", 2 * (middle + small)),
        ("pool", "backward", 2 * (middle + small)),
        ("up", "forward", 2 * (small + up + middle)),
        ("up", "backward", 2 * (small + up + middle)),
        ("up", "backward", 2 * (small + middle) + 4 * up),
        ("network", "forward", 2 * middle),  # the sum
        ("out", "forward", 2 * (joined + out + logits)),
        ("out", "backward", 2 * (joined + out + logits)),
        ("out", "backward", 2 * (joined + logits) + 4 * out),
        ("loss", "forward", 2 * logits + 8 * 5 * 64),
        ("loss", "backward", 2 * logits),
        ("optimizer", "update", 4 * 7 * (conv + 4 + 2 * 4 + up + 4 + out + 3)),
    ]
    assert [(cost.layer, cost.part, cost.bytes) for cost in found] == by_hand
    assert {c.kind for c in found if c.flops} == {"convolution", "transposed convolution"}


def test_prediction_and_float32():
    trained, predicted = (costs(Small, 1, 2, 8, 8, train=train) for train in (True, False))
    assert predicted == [c for c in trained if c.part == "forward" and c.layer != "loss"]
    wide = costs(Small, 1, 2, 8, 8, train=False, precision="tf32")
    assert [c.bytes for c in wide] == [2 * c.bytes for c in predicted]
    assert [c.flops for c in wide] == [c.flops for c in predicted]


def test_a_bound_is_the_slower_of_flops_and_traffic():
    reached = Peaks(flops=2e9, bytes=1e9)
    assert Cost("a", "", "forward", flops=4e6, bytes=1e6).bound_ms(reached) == pytest.approx(2)
    assert Cost("a", "", "forward", flops=1e6, bytes=3e6).bound_ms(reached) == pytest.approx(3)


def test_peaks_come_from_the_fastest_window(monkeypatch):
    """A clock by which every product and every copy takes a known time."""
    now = [0.0]
    seconds = {"matmul": itertools_cycle([0.5, 0.2, 0.4]), "copy_": itertools_cycle([0.04, 0.05])}

    def work(kind):
        def call(*arguments, **named):
            now[0] += next(seconds[kind])

        return call

    monkeypatch.setattr(timing.Clock, "now", lambda self: now[0])
    monkeypatch.setattr(torch, "matmul", work("matmul"))
    monkeypatch.setattr(torch.Tensor, "copy_", work("copy_"))
    monkeypatch.setitem(peaks.SIZES, "cpu", (1000, 10))
    reached = peaks.measure(torch.device("cpu"), "fp32")
    assert reached.flops == pytest.approx(2 * 10**3 / 0.2)
    assert reached.bytes == pytest.approx(2 * 4 * 1000 / 0.045)  # a window holds both


def itertools_cycle(values):
    while True:
        yield from values


def test_layers_are_timed_apart(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(timing.Clock, "now", lambda self: now[0])

    class Slow(nn.Module):
        def __init__(self, seconds):
            super().__init__()
            self.seconds = seconds

        def forward(self, x):
            now[0] += self.seconds
            return x

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = Slow(0.002), nn.Sequential(Slow(0.003))

        def forward(self, x):
            now[0] += 0.001
            return self.second(self.first(self.first(x)))

    network = Net()
    found = roofline.layer_times(network, lambda: network(1), timing.Clock())
    assert found == pytest.approx({"first": 4.0, "second.0": 3.0, "(between layers)": 1.0})
    assert not network.first._forward_hooks
    assert not network.first._forward_pre_hooks
