"""Crops: the same for any number of workers, and padded so that no image is dropped."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from bench.data.batches import Batches, BatchSettings, Crops, pad
from bench.data.dataset import IGNORE_INDEX, Split
from bench.data.normalisation import EIGHT_BITS
from bench.data.order import Order
from bench.errors import UserError
from bench.experiment.code_digest import ROOT

SIZES = [(40, 60), (60, 40), (20, 64), (48, 48), (70, 33)]


@pytest.fixture
def split():
    """Images whose every pixel says from which image and place it is."""

    def read(name):
        height, width = SIZES[int(name)]
        rows, columns = np.mgrid[:height, :width]
        image = np.stack([rows, columns, np.full_like(rows, int(name))], axis=-1).astype(np.uint8)
        return image, ((rows + columns) % 7).astype(np.uint8)

    return Split(tuple(map(str, range(len(SIZES)))), read)


def collect(split, settings, seed=0, workers=0, epochs=(1, 2)):
    batches = Batches(split, settings, seed=seed, workers=workers)
    return [tensor for epoch in epochs for batch in batches.epoch(epoch) for tensor in batch]


def same(one, other):
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.mark.parametrize("augmentation", ["none", "paper"])
def test_workers_do_not_change_the_batches(split, augmentation):
    settings = BatchSettings(crop_size=32, batch_size=2, augmentation=augmentation)
    assert same(collect(split, settings), collect(split, settings, workers=2))


BESIDE_THREADS = """
import cv2, numpy as np
from bench.data.batches import Batches, BatchSettings
from bench.data.dataset import Split

cv2.setNumThreads(4)
cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.float32), (31, 31), 5)  # starts OpenCV's threads
read = lambda name: (np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8))
split = Split(tuple("abcd"), read, "")
settings = BatchSettings(crop_size=32, batch_size=2, augmentation="paper")
print(sum(len(images) for images, _ in Batches(split, settings, seed=0, workers=2).epoch(1)))
"""


def test_loader_processes_start_while_opencv_has_threads():
    done = subprocess.run(
        [sys.executable, "-c", BESIDE_THREADS],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "4", done.stderr


def test_a_seed_decides_everything_and_an_epoch_differs(split):
    settings = BatchSettings(crop_size=32, batch_size=2, augmentation="paper")
    assert same(collect(split, settings, seed=3), collect(split, settings, seed=3))
    assert not same(collect(split, settings, seed=3), collect(split, settings, seed=4))
    assert not same(collect(split, settings, epochs=[1]), collect(split, settings, epochs=[2]))


def test_an_epoch_can_be_repeated_without_those_before(split):
    settings = BatchSettings(crop_size=32, batch_size=2, augmentation="flip")
    assert same(collect(split, settings, epochs=[1, 2])[4:], collect(split, settings, epochs=[2]))


class Counted:
    """A loader that knows how often it was started."""

    def __init__(self, loader):
        self.loader, self.starts = loader, 0

    def __iter__(self):
        self.starts += 1
        return iter(self.loader)


def test_a_loader_starts_once_for_all_epochs_that_follow_each_other(split):
    batches = Batches(split, BatchSettings(crop_size=32, batch_size=2), seed=0, workers=2)
    batches.loader = loader = Counted(batches.loader)
    second = {epoch: list(batches.epoch(epoch)) for epoch in (1, 2, 3)}[2]
    assert loader.starts == 1
    again = list(batches.epoch(2))
    assert loader.starts == 2
    assert all(map(same, again, second))


def test_an_epoch_that_was_left_early_does_not_shift_the_next(split):
    settings = BatchSettings(crop_size=32, batch_size=2, augmentation="flip")
    batches = Batches(split, settings, seed=0, workers=0)
    next(batches.epoch(1))
    assert all(map(same, batches.epoch(2), Batches(split, settings, seed=0, workers=0).epoch(2)))


def test_loading_leaves_the_models_randomness_alone(split):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    collect(split, BatchSettings(crop_size=32, batch_size=2, augmentation="paper"))
    assert torch.equal(torch.rand(1), expected)


def test_a_crop_is_a_window_with_its_own_labels(split):
    for images, labels in Batches(
        split, BatchSettings(crop_size=20, batch_size=1), seed=0, workers=0
    ).epoch(1):
        rows, columns = images[0, ..., 0].long(), images[0, ..., 1].long()
        assert torch.equal(labels[0].long(), (rows + columns) % 7)
        assert torch.equal(rows[1:] - rows[:-1], torch.ones(19, 20, dtype=torch.long))


def test_small_images_are_padded_so_that_any_crop_size_uses_all_images(split):
    for size in (16, 48, 100):
        seen = set()
        settings = BatchSettings(crop_size=size, batch_size=1)
        for images, labels in Batches(split, settings, seed=0, workers=0).epoch(1):
            assert images.shape == (1, size, size, 3)
            assert labels.shape == (1, size, size)
            seen.add(int(images[0, 0, 0, 2]))
        assert seen == set(range(len(SIZES)))


def test_dropped_images_are_counted(split):
    crops = Crops(split, BatchSettings(crop_size=40, small_images="drop"), seed=0)
    assert [SIZES[int(name)] for name in crops.names] == [(40, 60), (60, 40), (48, 48)]
    assert crops.dropped == 2
    with pytest.raises(UserError, match="none of the 5 training images is as large as 100×100"):
        Crops(split, BatchSettings(crop_size=100, small_images="drop"), seed=0)


def test_padding_mirrors_the_image_and_voids_the_labels():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    mask = np.ones((2, 3), np.uint8)
    padded, void = pad(image, mask, 4, 3)
    assert padded[..., 0].tolist() == [[3, 4, 5], [0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert void.tolist() == [[255] * 3, [1] * 3, [1] * 3, [255] * 3]
    assert IGNORE_INDEX == 255
    assert pad(image, mask, 1, 1)[0] is image


def test_padding_can_be_many_times_the_image():
    image = np.arange(4, dtype=np.uint8).reshape(2, 2, 1).repeat(3, axis=2)
    padded, void = pad(image, np.zeros((2, 2), np.uint8), 33, 32)
    assert padded.shape == (33, 32, 3)
    assert (void == 0).sum() == 4


@pytest.mark.parametrize(("length", "batch", "batches"), [(10, 4, 2), (8, 4, 2), (3, 4, 1)])
def test_order_is_a_permutation_in_full_batches(length, batch, batches):
    order = Order(length, batch, seed=0)
    chosen = [index for group in order.of(1) for _, index in group]
    assert len(list(order.of(1))) == len(order) == batches
    assert len(set(chosen)) == len(chosen) == batches * min(batch, length)
    assert set(chosen) <= set(range(length))


def test_every_image_is_used_in_some_epoch():
    order, seen = Order(5, 4, seed=0), set()
    for epoch in range(20):
        seen |= {index for group in order.of(epoch) for _, index in group}
    assert seen == set(range(5))


def test_input_is_channels_first_between_minus_one_and_one():
    images = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 2, 1).repeat(1, 1, 1, 3)
    inputs = EIGHT_BITS(images, torch.device("cpu"))
    assert inputs.shape == (1, 3, 1, 2)
    assert inputs[0, 0, 0].tolist() == [-1, 1]
    assert inputs.is_contiguous(memory_format=torch.channels_last)
