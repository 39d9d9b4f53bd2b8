"""Whole images: padded and cut back, one matrix each, whatever they are batched with."""

import numpy as np
import pytest
import torch
from torch import nn

from bench.data.batches import Batches, BatchSettings
from bench.data.dataset import Split
from bench.evaluation import evaluate, predict, samples
from bench.evaluation.predict import Predictor
from bench.experiment.trial import TrialSettings
from bench.training.models import ModelSettings, architecture, build

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
    assert found.names == SPLIT.names
    for name, matrix in zip(found.names, found.matrices, strict=True):
        _, mask = read(name)
        expected = np.diag([(mask == label).sum() for label in range(3)])
        assert np.array_equal(matrix, expected)


def test_the_matrices_do_not_depend_on_what_is_predicted_together(monkeypatch):
    torch.manual_seed(0)
    settings = ModelSettings(base_channels=4, depth=3)
    model, multiple = build(settings, 3, 3), architecture(settings).size_multiple
    together = evaluate.evaluate(model, SPLIT, Predictor(CPU, "fp32", multiple), 3)
    monkeypatch.setattr(evaluate, "TOGETHER", 1)
    alone = evaluate.evaluate(model, SPLIT, Predictor(CPU, "fp32", multiple), 3)
    assert np.array_equal(together.matrices, alone.matrices)


def test_every_image_is_shown_with_its_prediction_and_truth():
    seen = {}
    predictor = Predictor(CPU, "fp32", multiple=16)
    evaluate.evaluate(
        RedTells(), SPLIT, predictor, 3, on_image=lambda *image: seen.update({image[0]: image[1:]})
    )
    assert sorted(seen) == sorted(SPLIT.names)
    for name, (prediction, truth) in seen.items():
        image, mask = read(name)
        assert np.array_equal(truth, mask)
        assert np.array_equal(prediction, image[..., 0] // 86)


def test_predictions_are_made_in_evaluation_mode():
    model = nn.Sequential(RedTells(), nn.Dropout(0.9))
    found = evaluate.evaluate(model, SPLIT, Predictor(CPU, "fp32", multiple=16), 3)
    assert found.matrices.sum(0).trace() == found.matrices.sum()


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
    predictor = predict.predictor(settings.model, settings.train, device=CPU, precision="fp32")
    found = evaluate.evaluate(model, SPLIT, predictor, 3)
    for name, matrix in zip(found.names, found.matrices, strict=True):
        assert matrix.sum() == (read(name)[1] != 255).sum()


def test_the_studys_score_is_that_of_its_listing():
    """One class, one batch at a time, as the original study computes it; void is a class to it."""
    torch.manual_seed(0)
    model = build(ModelSettings(base_channels=4, depth=2), 3, 6)
    settings = BatchSettings(crop_size=16, batch_size=2, small_images="drop")

    def crops():
        whole = Split(SPLIT.names, lambda name: (read(name)[0], read(name)[0][..., 0] // 86))
        return Batches(whole, settings, seed=3, workers=0)

    found = evaluate.study_scores(model, crops(), Predictor(CPU, "fp32", multiple=4))
    whole, absent = [], []
    for images, labels in crops().epoch(1):
        inputs = images.numpy().transpose(0, 3, 1, 2) / 127.5 - 1
        with torch.no_grad():
            p = model(torch.from_numpy(inputs.astype(np.float32))).softmax(1).double().numpy()
        for label in range(6):
            truth = labels.numpy() == label
            intersection, union = p[:, label][truth].sum(), p[:, label].sum() + truth.sum()
            whole.append((intersection + 1e-5) / (union - intersection + 1e-5))
            absent.append(0 if truth.any() else whole[-1])
    assert found["study_iou"] == pytest.approx(np.mean(whole), abs=1e-6)
    assert found["study_iou_absent"] == pytest.approx(np.mean(absent), abs=1e-6)
    assert 0 < found["study_iou_absent"] < found["study_iou"]


def test_the_study_rewards_a_class_for_being_nowhere():
    """A saturated network and a class that is nowhere: a full point for it."""

    class Certain(nn.Module):
        def forward(self, x):
            logits = torch.full((len(x), 4, *x.shape[2:]), -1000.0)
            logits[:, 0] = 1000.0
            return logits

    def read_zeros(name):
        return read(name)[0], np.zeros(SIZES[int(name)], np.uint8)

    settings = BatchSettings(crop_size=16, batch_size=2, small_images="drop")
    crops = Batches(Split(SPLIT.names, read_zeros), settings, seed=0, workers=0)
    found = evaluate.study_scores(Certain(), crops, Predictor(CPU, "fp32", multiple=4))
    assert found["study_iou"] == pytest.approx(1)
    assert found["study_iou_absent"] == pytest.approx(3 / 4)


@pytest.mark.parametrize(("count", "expected"), [(0, ()), (1, ("3",)), (2, ("1", "5")), (99, None)])
def test_panels_are_spread_over_the_split(count, expected):
    names = samples.evenly_spaced(SPLIT.names, count)
    assert names == (SPLIT.names if expected is None else expected)
