"""Predictions averaged over turned inputs: exact where the network does not care, a mean else."""

from hashlib import sha256

import numpy as np
import pytest
import torch
from torch import nn

from bench.data.batches import BatchSettings
from bench.evaluation import evaluate, predict
from bench.evaluation.predict import VIEWS, Predictor, turned, turned_back
from bench.training import models
from bench.training.models import ModelSettings
from unet import UNet

CPU = torch.device("cpu")


def picture(height=12, width=20):
    return np.random.default_rng(0).integers(0, 256, (height, width, 1), dtype=np.uint8)


class Slope(nn.Module):
    """Class 1 where it is far to the right, whatever the image: turning must show."""

    def forward(self, x):
        slope = torch.arange(x.shape[3]).float().expand(x.shape[0], 1, *x.shape[2:])
        return torch.cat([torch.zeros_like(slope), slope], 1)


def test_the_seven_are_all_symmetries_of_a_square_but_the_identity():
    square = np.arange(9, dtype=np.uint8).reshape(3, 3, 1)
    seen = {turned(square, view).tobytes() for view in VIEWS["rotations"]}
    assert len(seen) == 7
    assert square.tobytes() not in seen


@pytest.mark.parametrize("view", [*VIEWS["none"], *VIEWS["rotations"]])
def test_turning_back_undoes_turning(view):
    image = picture()
    logits = torch.from_numpy(turned(image, view)).permute(2, 0, 1)[None]
    assert torch.equal(turned_back(logits, view)[0].permute(1, 2, 0), torch.from_numpy(image))


def test_the_mean_is_of_probabilities():
    image = picture()
    predictor = Predictor(CPU, "fp32", multiple=1)
    expected = torch.zeros(1, 2, 12, 20)
    for view in VIEWS["rotations"]:
        logits = predictor.logits(Slope(), [turned(image, view)])
        expected += turned_back(logits.softmax(1), view) / 7
    found = Predictor(CPU, "fp32", multiple=1, views="rotations").logits(Slope(), [image])
    torch.testing.assert_close(found.exp(), expected)
    torch.testing.assert_close(found.exp().sum(1), torch.ones(1, 12, 20))


def test_a_network_that_looks_at_single_pixels_does_not_notice():
    pixelwise = nn.Conv2d(1, 3, 1)
    image = picture()
    once = Predictor(CPU, "fp32", multiple=1).logits(pixelwise, [image]).softmax(1)
    mean = Predictor(CPU, "fp32", multiple=1, views="rotations").logits(pixelwise, [image])
    torch.testing.assert_close(mean.exp(), once)


def test_unpadded_networks_predict_turned_tiles():
    torch.manual_seed(0)
    model = UNet(1, 2, base_channels=2, depth=1, padding="valid", norm="none").eval()
    image = picture(30, 22)
    predictor = Predictor(CPU, "fp32", multiple=1, tile=26, margin=8, views="rotations")
    assert predictor.logits(model, [image]).shape == (1, 2, 30, 22)
    assert evaluate.EvaluateSettings().tta == "none"


def test_only_the_final_evaluation_is_averaged(monkeypatch, tmp_path):
    from bench.data.datasets import cells
    from bench.execution import accuracy, scoring
    from bench.experiment.context import RunContext
    from bench.experiment.trial import TrialSettings

    used = []
    real = evaluate.evaluate
    for module in (accuracy, scoring):
        monkeypatch.setattr(
            module, "evaluate", lambda *a, **k: used.append(a[2].views) or real(*a, **k)
        )
    settings = TrialSettings(
        data=cells.Settings(train=2, val=1, test=1, size=48),
        model={"base_channels": 2, "depth": 1, "padding": "valid", "norm": "none", "init": "he"},
        train={"crop_size": 32, "crop_of": "output", "epochs": 1, "batch_size": 2,
               "loss": "weighted_ce", "augmentation": "paper"},
        evaluate={"tta": "rotations"},
    )  # fmt: skip
    context = RunContext(
        tmp_path, CPU, put=lambda content, suffix: f"blobs/{sha256(content).hexdigest()}{suffix}"
    )
    found = accuracy.measure(settings, 0, context)
    assert used == ["none", "rotations"]
    assert 0 <= found.result.metrics["v_rand"] <= 1
    assert found.result.note is None


@pytest.mark.parametrize("size", [(96, 128), (101, 75), (64, 33)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_large_image_by_tiles_has_the_labels_of_the_whole(size, padding, monkeypatch):
    torch.manual_seed(0)
    settings = ModelSettings(base_channels=4, depth=2, padding=padding, norm="none")
    model = models.build(settings, 3, 5).eval()
    crops = BatchSettings(crop_size=32 if padding == "same" else 60)
    whole = predict.predictor(settings, crops, device=CPU, precision="fp32")
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    monkeypatch.setattr(predict, "WHOLE", 32 * 32)
    monkeypatch.setattr(predict, "STEP", 32)
    monkeypatch.setattr(predict, "CONTEXT", 32)  # more than two poolings see
    expected = whole.labels(model, [image])[0]
    assert len(np.unique(expected)) > 1
    assert np.array_equal(whole.labels_of_any_size(model, image), expected)
