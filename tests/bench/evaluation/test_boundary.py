"""Boundaries and segments: counts that add up over images, and what a dataset asks for."""

import json

import numpy as np
import pytest
import torch
from scipy import ndimage

from bench.data.dataset import ImageScores
from bench.evaluation.boundary import PerImageScores


def blocks(seed, *, void):
    rng = np.random.default_rng(seed)
    labels = np.kron(rng.integers(0, 3, (4, 5)), np.ones((11, 9))).astype(np.uint8)
    if void:
        labels[rng.random(labels.shape) < 0.05] = 255
    return labels


IMAGES = {name: (blocks(i, void=False), blocks(9 + i, void=True)) for i, name in enumerate("abc")}


def boundary(mask, width):
    """By the definition: what eroding takes away, with nothing outside of the image."""
    return mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=width)


def test_boundary_iou_is_of_pixels_added_up_over_the_images():
    scores, both, either = PerImageScores(4), np.zeros(4), np.zeros(4)
    for name, (prediction, truth) in IMAGES.items():
        scores.add(name, prediction, truth)
        width = max(1, round(0.02 * np.hypot(*truth.shape)))
        for label in range(4):
            known = truth != 255
            guess = boundary((prediction == label) & known, width)
            real = boundary((truth == label) & known, width)
            both[label] += (guess & real).sum()
            either[label] += (guess | real).sum()
    found = scores.metrics()
    assert found["boundary_iou"][:3] == pytest.approx(both[:3] / either[:3], abs=1e-12)
    assert found["boundary_iou"][3] is None  # neither in any truth nor in any prediction
    assert found["mean_boundary_iou"] == pytest.approx((both[:3] / either[:3]).mean(), abs=1e-12)


def test_what_is_stored_gives_the_score_again():
    scores = PerImageScores(4)
    for name, (prediction, truth) in IMAGES.items():
        scores.add(name, prediction, truth)
    counts = torch.zeros(4, 2, dtype=torch.int64)
    for image in json.loads(json.dumps(scores.json())).values():
        for label, both, either in image["boundary"]:
            counts[label] += torch.tensor([both, either])
    expected = (counts[:3, 0] / counts[:3, 1].double()).tolist()
    assert scores.metrics()["boundary_iou"] == [*expected, None]


def test_further_scores_are_means_over_the_images_that_have_them():
    values = iter([{"v": 0.5, "w": np.nan}, {"v": np.nan, "w": np.nan}, {"v": 1.0, "w": np.nan}])
    scores = PerImageScores(3, ImageScores(("v",), lambda prediction, truth: next(values)))
    for name, pair in IMAGES.items():
        scores.add(name, *pair)
    found = scores.metrics()
    assert (found["v"], found["w"]) == (0.75, None)
    assert [image["scores"]["v"] for image in scores.json().values()] == [0.5, None, 1.0]


def test_no_image_has_no_score():
    assert PerImageScores(2).metrics() == {"mean_boundary_iou": None, "boundary_iou": [None, None]}
