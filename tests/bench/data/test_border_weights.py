"""Border weights: the paper's, of the components of one class, warped like the labels."""

import cv2
import numpy as np
import pytest
import torch

from bench.data import border_weights, registry
from bench.data.batches import Batches, BatchSettings
from bench.data.border_weights import BorderSettings, weight_maps
from bench.data.dataset import Dataset, Split
from bench.data.datasets import cells, scenes
from bench.errors import UserError
from bench.experiment.trial import TrialSettings
from bench.training.step import TrainSettings

TINY = cells.Settings(train=3, val=1, test=1, size=48, spacing=12)


def made_of(*masks):
    """A dataset of three classes, 255 void, whose images do not matter."""
    held = {str(i): np.array(mask, np.uint8) for i, mask in enumerate(masks)}

    def read(name):
        return np.zeros((*held[name].shape, 1), np.uint8), held[name].copy()

    split = Split(tuple(held), read, "")
    return Dataset("made", ("a", "cell", "b"), np.eye(3, dtype=np.uint8), 1, {"train": split}, "")


def test_the_map_of_two_cells_by_hand():
    # Two cells with two pixels of other classes between them, and a void pixel.
    mask = [[1, 0, 2, 1], [1, 0, 2, 1], [1, 0, 255, 1]]
    maps = weight_maps(made_of(mask), BorderSettings(w0=10, sigma=2))
    border = 10 * np.exp(-((1 + 2) ** 2) / (2 * 2**2))
    inside, outside = 11 / (2 * 6), 11 / (2 * 5)  # of 11 pixels that count
    row = [inside, outside + border, outside + border, inside]
    np.testing.assert_allclose(maps["0"], [row] * 3, rtol=1e-6)


def test_without_balance_and_border_every_pixel_weighs_one():
    maps = weight_maps(made_of([[1, 0, 1]]), BorderSettings(w0=0, balance=False))
    np.testing.assert_array_equal(maps["0"], np.ones((1, 3), np.float32))


def test_classes_are_balanced_over_all_training_images():
    masks = [[1, 0, 0, 0]], [[1, 1, 255, 0]]
    maps = weight_maps(made_of(*masks), BorderSettings(w0=0))
    heavy = sum(float(maps[str(i)][np.array(m) == 1].sum()) for i, m in enumerate(masks))
    light = sum(float(maps[str(i)][np.isin(m, (0, 2))].sum()) for i, m in enumerate(masks))
    assert heavy == pytest.approx(light)
    assert heavy + light == pytest.approx(7)


def test_the_map_of_a_label_image_is_computed_once(monkeypatch, tmp_path):
    calls = []
    real = border_weights.border_weight_map
    monkeypatch.setattr(
        border_weights, "border_weight_map", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    border_weights._border.cache_clear()
    dataset = registry.load(TINY, tmp_path)
    first = weight_maps(dataset, BorderSettings())
    again = weight_maps(registry.load(TINY, tmp_path), BorderSettings(balance=False))
    assert len(calls) == 3
    weight_maps(dataset, BorderSettings(w0=3))
    assert len(calls) == 6
    name = dataset.splits["train"].names[0]
    assert not np.array_equal(first[name], again[name])


def test_an_unknown_class_is_named_with_the_nearest(tmp_path):
    dataset = registry.load(TINY, tmp_path)
    with pytest.raises(UserError, match="cells has no class 'cels'; did you mean 'cell'"):
        weight_maps(dataset, BorderSettings(cells="cels"))


@pytest.mark.parametrize("augmentation", ["none", "flip", "geometric", "paper"])
def test_weights_move_with_their_pixels(augmentation, tmp_path):
    """Maps that are functions of the label must be that same function of the warped label."""
    split = registry.load(TINY, tmp_path).splits["train"]
    weights = {name: 1.0 + 3 * split.read(name)[1].astype(np.float32) for name in split.names}
    settings = BatchSettings(crop_size=52, batch_size=3, augmentation=augmentation)
    batches = Batches(split, settings, seed=1, workers=0, weights=weights)
    plain = Batches(split, settings, seed=1, workers=0)
    for (images, labels, weighed), (same, alike) in zip(
        batches.epoch(1), plain.epoch(1), strict=True
    ):
        assert torch.equal(images, same)
        assert torch.equal(labels, alike)  # weights change nothing about the crops
        assert weighed.dtype == torch.float32
        void = labels == 255  # of 52 pixels around 48
        assert torch.equal(weighed[~void], 1 + 3 * labels[~void].float())
        assert (weighed[void] == 0).all()


def test_loader_processes_give_the_same_weights(tmp_path):
    dataset = registry.load(TINY, tmp_path)
    weights = weight_maps(dataset, BorderSettings())
    settings = BatchSettings(crop_size=32, batch_size=1, augmentation="paper")

    def collect(workers):
        found = Batches(dataset.splits["train"], settings, seed=0, workers=workers, weights=weights)
        return [part for batch in found.epoch(2) for part in batch]

    assert all(map(torch.equal, collect(0), collect(2)))


def test_an_unpadded_network_gets_mirrored_context_at_borders():
    """Crops of 20 pixels of which 12 are predicted, of an image of 16."""
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    split = Split(("a",), lambda name: (image.copy(), image[..., 0] % 5), "")
    settings = BatchSettings(crop_size=12, crop_of="output", batch_size=1)
    batches = Batches(split, settings, seed=0, workers=0, margin=8)
    mirrored = cv2.copyMakeBorder(image[..., 0], 4, 4, 4, 4, cv2.BORDER_REFLECT_101)
    corners = set()
    for epoch in range(60):
        images, labels = next(iter(batches.epoch(epoch)))
        assert images.shape == (1, 20, 20, 1)
        top, left = divmod(int(images[0, 4, 4, 0]), 16)
        corners.add((top, left))
        np.testing.assert_array_equal(images[0, ..., 0], mirrored[top : top + 20, left : left + 20])
        inner = image[top : top + 12, left : left + 12, 0]
        np.testing.assert_array_equal(labels[0, 4:-4, 4:-4], inner % 5)
    assert {0, 4} <= {top for top, _ in corners} <= {0, 1, 2, 3, 4}


def test_only_a_loss_that_takes_weights_reads_their_settings():
    def read(**train):
        return TrialSettings(data=scenes.Settings(), train=TrainSettings(**train)).effective(
            "accuracy"
        )["train"]

    assert "border_weights" not in read(loss="ce")
    weighted = read(loss="weighted_ce", border_weights={"w0": 3})
    assert weighted["border_weights"] == BorderSettings(w0=3).model_dump()
