"""Whole images: padded and cut back, one matrix each, whatever they are batched with."""

import numpy as np
import pytest
import torch
from torch import nn

from bench import accuracy, evaluate
from bench.datasets import Split
from bench.evaluate import Predictor
from bench.models import ModelSettings, build, size_multiple
from bench.trial import TrialSettings

CPU = torch.device("cpu")
SIZES = [(20, 30), (30, 20), (20, 30), (17, 33), (16, 16), (20, 30), (5, 70)]


def read(name):
    height, width = SIZES[int(name)]
    rng = np.random.default_rng(int(name))
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = (image[..., 0] // 86).astype(np.uint8)
    mask[rng.random((height, width)) < 0.1] = 255
    return image, mask


SPLIT = Split(tuple(map(str, range(len(SIZES)))), read)


class RedTells(nn.Module):
    """Predicts a pixel's label from its red channel alone: right everywhere, at any size."""

    def forward(self, x):
        red = (x[:, 0] + 1) * 127.5
        thresholds = torch.tensor([43.0, 128.0, 214.0])
        return -(red[:, None] - thresholds[None, :, None, None]).abs()


def test_a_perfect_predictor_is_perfect_in_every_image():
    found = evaluate.evaluate(RedTells(), SPLIT, Predictor(CPU, "fp32", multiple=16), 3)
    assert found.images == SPLIT.names
    for name, matrix in zip(found.images, found.matrices, strict=True):
        _, mask = read(name)
        expected = np.diag([(mask == label).sum() for label in range(3)])
        assert np.array_equal(matrix, expected)


def test_the_matrices_do_not_depend_on_what_is_predicted_together(monkeypatch):
    torch.manual_seed(0)
    settings = ModelSettings(base_channels=4, depth=3)
    model, multiple = build(settings, 3, 3), size_multiple(settings)
    together = evaluate.evaluate(model, SPLIT, Predictor(CPU, "fp32", multiple), 3)
    monkeypatch.setattr(evaluate, "TOGETHER", 1)
    alone = evaluate.evaluate(model, SPLIT, Predictor(CPU, "fp32", multiple), 3)
    assert np.array_equal(together.matrices, alone.matrices)


def test_predictions_are_made_in_evaluation_mode():
    model = nn.Sequential(RedTells(), nn.Dropout(0.9))
    found = evaluate.evaluate(model, SPLIT, Predictor(CPU, "fp32", multiple=16), 3)
    assert found.total().diagonal().sum() == found.total().sum()


def test_an_unpadded_network_predicts_whole_images_by_tiles():
    torch.manual_seed(0)
    settings = TrialSettings.model_validate(
        {
            "data": {"name": "scenes"},
            "model": {"padding": "valid", "depth": 2, "base_channels": 4, "norm": "none"},
            "train": {"crop_size": 60},
        }
    )
    model = build(settings.model, 3, 3)
    predictor = accuracy._predictor(settings, CPU)
    found = evaluate.evaluate(model, SPLIT, predictor, 3)
    for name, matrix in zip(found.images, found.matrices, strict=True):
        assert matrix.sum() == (read(name)[1] != 255).sum()


@pytest.mark.parametrize(("count", "expected"), [(0, ()), (1, ("3",)), (2, ("1", "5")), (99, None)])
def test_panels_are_spread_over_the_split(count, expected):
    names = evaluate.panel_names(SPLIT, count)
    assert names == (SPLIT.names if expected is None else expected)
