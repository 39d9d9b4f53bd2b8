"""Arithmetic of a step and of a prediction, against counts made by hand."""

from types import SimpleNamespace

import pytest
import torch

from bench.components.names import located
from bench.evaluation import predict
from bench.profiling import flops
from bench.training.models import ModelSettings
from bench.training.step import TrainSettings

GREY = SimpleNamespace(in_channels=1, classes=("membrane", "cell"))


def count(model, train):
    settings, recipe = ModelSettings(**model), TrainSettings(**train)
    predictor = predict.predictor(
        settings, recipe, device=torch.device("cpu"), precision=recipe.precision
    )
    return flops.of(settings, recipe, GREY, predictor, batch_size=recipe.batch_size)


def net(sizes, base):
    """Multiplications of a U-Net of one pooling: by convolution (pixels put out, in, out, side)."""
    a, b, c, d, up, e, f = (size**2 for size in sizes)
    return [
        a * 1 * base * 9,
        b * base * base * 9,
        c * base * 2 * base * 9,
        d * 2 * base * 2 * base * 9,
        up * 2 * base * base,  # every pixel of an up-convolution comes from one pixel below it
        e * 2 * base * base * 9,
        f * base * base * 9,
        f * base * 2,
    ]


SAME, VALID = [32, 32, 16, 16, 32, 32, 32], [30, 28, 12, 10, 20, 18, 16]


@pytest.mark.parametrize(("padding", "sizes"), [("same", SAME), ("valid", VALID)])
def test_arithmetic_of_a_small_net(padding, sizes):
    model = {"base_channels": 3, "depth": 1, "padding": padding, "norm": "none"}
    found = count(model, {"crop_size": 32, "batch_size": 5})
    once = net(sizes, 3)
    assert found["gflops_per_megapixel"] == pytest.approx(2 * sum(once) / sizes[-1] ** 2 / 1e3)
    # Backward, each does as much for its weights, and as much for its input but for the first.
    assert found["step_gflops"] == pytest.approx(5 * 2 * (3 * sum(once) - once[0]) / 1e9)
    assert found["step_pixels"] == 5 * sizes[-1] ** 2


def test_crops_by_their_output_give_equal_pixels():
    padded = count({"depth": 2, "base_channels": 2}, {"crop_size": 64, "crop_of": "output"})
    unpadded = count(
        {"depth": 2, "base_channels": 2, "padding": "valid"},
        {"crop_size": 64, "crop_of": "output"},
    )
    assert padded["step_pixels"] == unpadded["step_pixels"]
    assert padded["gflops_per_megapixel"] < unpadded["gflops_per_megapixel"]


def test_pixels_that_a_tile_drops_are_paid_for():
    """Of the 388 pixels in a row that come out 384 are kept: tiles follow the poolings."""
    paper = {"name": "unet_paper", "base_channels": 1}
    found = count(paper, {"crop_size": 388, "crop_of": "output", "batch_size": 1})
    first = 2 * 570**2 * 9 / 1e9
    once = (found["step_gflops"] + first) / 3
    assert found["gflops_per_megapixel"] == pytest.approx(once / 384**2 * 1e6)
    assert found["step_pixels"] == 388**2


def test_a_window_moved_over_every_pixel_is_counted_too():
    recipe = {"crop_size": 16, "crop_of": "output"}
    found = count({"name": "sliding_window", "window": 65, "base_channels": 48}, recipe)
    maps = [(62, 1, 4), (28, 48, 4), (10, 48, 5)]  # side put out, maps taken in, side of the kernel
    window = sum(side**2 * 48 * taken * kernel**2 for side, taken, kernel in maps)
    window += 5**2 * 48 * 200 + 200 * 2
    assert found["window_gflops_per_megapixel"] == pytest.approx(2 * window / 1e3)
    assert found["window_gflops_per_megapixel"] > found["gflops_per_megapixel"]
    assert "window_gflops_per_megapixel" not in count({"base_channels": 2}, recipe)


def test_networks_that_compute_while_they_are_built_are_counted():
    found = count({"name": "smp_unet", "encoder": "mit_b0"}, {"crop_size": 64})
    assert found["step_gflops"] > 0


def test_pretrained_weights_are_not_fetched_to_count(monkeypatch):
    built = []
    real = flops.models.build
    monkeypatch.setattr(
        flops.models, "build", lambda *a: built.append(a[0].encoder_weights) or real(*a)
    )
    count({"name": "smp_unet", "encoder": "resnet18", "encoder_weights": "imagenet"}, {})
    assert built == [None, None]


OWN = """
from torch import nn

class Looks(nn.Sequential):
    def __init__(self, in_channels, num_classes, *, looks=True):
        super().__init__(nn.Conv2d(in_channels, num_classes, 3, padding=1))
        self.looks = looks

    def forward(self, images):
        if self.looks and images.max().item() > 1e6:
            return -super().forward(images)
        return super().forward(images)
"""


def test_a_network_of_ones_own_that_needs_values_is_not_counted(tmp_path):
    (tmp_path / "nets.py").write_text(OWN)
    name = located("./nets.py:Looks", tmp_path)
    train = {"crop_size": 32, "batch_size": 5}
    assert count({"name": name}, train) == {"step_pixels": 5 * 32**2}
    counted = count({"name": name, "options": {"looks": False}}, train)
    assert counted["gflops_per_megapixel"] == pytest.approx(2 * 9 * 2 / 1e3)
