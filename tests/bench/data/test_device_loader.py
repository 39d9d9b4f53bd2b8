"""Batches made on the device are those of the loader in main memory, which is the oracle."""

import itertools

import numpy as np
import pytest
import torch

from bench.components.built_in import BUILT_IN
from bench.data.batches import Batches, BatchSettings
from bench.data.dataset import split_in_memory
from bench.data.device_views import mirrored
from bench.data.normalisation import Normalisation
from bench.training.step import TrainSettings

SIZES = [(40, 60), (60, 40), (20, 64), (48, 48), (70, 33), (1, 50)]
EXACT = ("none", "flip")
OF_BITS = {  # the second clips what lies beyond a span while it augments
    8: Normalisation(),
    16: Normalisation(16, (30000.0,), (30000.0,), (1000.0, 60000.0)),
}


def noise(bits, channels):
    """Images of many sizes in which no pixel is like the next, with labels and weights."""
    rng = np.random.default_rng(bits)
    kind = np.dtype(f"uint{bits}")
    pairs = {
        str(number): (
            rng.integers(0, 2**bits, (*size, channels)).astype(kind),
            rng.integers(0, 7, size).astype(np.uint8),
        )
        for number, size in enumerate(SIZES)
    }
    weights = {name: rng.random(mask.shape).astype("f4") for name, (_, mask) in pairs.items()}
    return split_in_memory(pairs, ""), weights


def batches(loader, augmentation="paper", *, bits=8, channels=3, weighted=True, margin=0, size=32):
    split, weights = noise(bits, channels)
    settings = BatchSettings(crop_size=size, batch_size=3, augmentation=augmentation, loader=loader)
    return Batches(
        split,
        settings,
        seed=3,
        workers=0,
        margin=margin,
        weights=weights if weighted else None,
        normalisation=OF_BITS[bits],
    )


def all_of(loader, *args, **options):
    """Return images, labels and weights of two epochs."""
    made = batches(loader, *args, **options)
    epochs = itertools.chain(made.epoch(1), made.epoch(2))
    return [torch.cat(parts) for parts in zip(*epochs, strict=True)]


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("augmentation", BUILT_IN["augmentation"])
def test_every_augmentation_is_that_of_main_memory(augmentation, bits):
    expected = all_of("host", augmentation, bits=bits)
    found = all_of("device", augmentation, bits=bits)
    for one, other in zip(expected, found, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
    apart = (expected[0].int() - found[0].int()).abs()
    assert apart.max() <= (0 if augmentation in EXACT else 1)  # of 255 or 65535 grey values
    assert torch.equal(expected[1], found[1])
    assert torch.equal(expected[2], found[2])


@pytest.mark.parametrize(
    "options",
    [{"channels": 1}, {"channels": 5}, {"weighted": False}, {"margin": 8}, {"size": 100}],
    ids=str,
)
def test_channels_margins_and_crops_larger_than_images(options):
    expected, found = all_of("host", **options), all_of("device", **options)
    assert len(expected) == len(found)
    assert (expected[0].int() - found[0].int()).abs().max() <= 1
    assert all(map(torch.equal, expected[1:], found[1:]))


def test_an_epoch_can_be_repeated_without_those_before():
    made = batches("device")
    epochs = {number: list(made.epoch(number)) for number in (1, 2)}
    for one, other in zip(epochs[2], batches("device").epoch(2), strict=True):
        assert all(map(torch.equal, one, other))


def test_bytes_on_the_device_are_those_of_images_labels_and_weights():
    pixels = sum(height * width for height, width in SIZES)
    places = len(SIZES) * 3 * 8
    assert batches("host").bytes_on_device == 0
    assert batches("device").bytes_on_device == pixels * (3 + 1 + 4) + places
    assert batches("device", bits=16, weighted=False).bytes_on_device == pixels * (6 + 1) + places


def test_mirrored_repeats_no_edge_pixel():
    index, sizes = torch.arange(-7, 8), torch.tensor([[1], [2], [4]])
    padded = [np.pad(np.arange(size), 7, mode="reflect")[: len(index)] for size in (1, 2, 4)]
    assert torch.equal(mirrored(index, sizes), torch.from_numpy(np.stack(padded)))


@pytest.mark.parametrize(
    ("augmentation", "said"),
    [
        ("albumentations:VerticalFlip", "the augmentation albumentations:VerticalFlip"),
        ({"__class_fullname__": "HorizontalFlip", "p": 0.5}, "a pipeline of albumentations"),
    ],
)
def test_what_a_device_cannot_do_is_refused_by_name(augmentation, said):
    with pytest.raises(ValueError, match=f"device cannot do {said}; loader: host can"):
        BatchSettings(augmentation=augmentation, loader="device")
    BatchSettings(augmentation=augmentation)


def test_only_a_loader_on_the_device_is_part_of_what_decides_a_result():
    assert "loader" not in TrainSettings().effective()
    assert TrainSettings(loader="device").effective()["loader"] == "device"
