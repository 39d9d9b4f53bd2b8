"""How pixels become a network's input, against NumPy over all pixels at once."""

import numpy as np
import pytest
import torch

from bench.data import normalisation
from bench.data.dataset import Split, assemble
from bench.data.normalisation import EIGHT_BITS, Normalisation, Range
from bench.errors import UserError

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)
SIZES = [(7, 5), (3, 11), (8, 8)]


def made(bits, channels, *, high=None, constant=False, content=""):
    """Return a dataset of random images, and the images."""
    images = [
        RNG.integers(0, high or 2**bits, (*size, channels)).astype(f"uint{bits}") for size in SIZES
    ]
    if constant:
        for image in images:
            image[..., -1] = 9
    read = lambda name: (images[int(name)], np.zeros(SIZES[int(name)], np.uint8))  # noqa: E731
    split = Split(("0", "1", "2"), read, content)
    return assemble(
        "d", {"a": (0, 0, 0)}, {"train": split}, in_channels=channels, bits=bits
    ), images


def applied(found, image):
    tensor = found(torch.from_numpy(image[None]), CPU)
    return tensor[0].permute(1, 2, 0).double().numpy()


@pytest.mark.parametrize(("bits", "channels"), [(8, 1), (8, 3), (16, 4), (16, 6)])
def test_the_training_images_have_mean_0_and_deviation_1(bits, channels):
    dataset, images = made(bits, channels)
    found = normalisation.of("dataset", dataset)
    inputs = np.concatenate([applied(found, image).reshape(-1, channels) for image in images])
    np.testing.assert_allclose(inputs.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(inputs.std(0), 1, rtol=1e-5)
    pixels = np.concatenate([image.reshape(-1, channels) for image in images]).astype(float)
    np.testing.assert_allclose(found.mean, pixels.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std(0), rtol=1e-12)


def test_a_channel_of_one_value_becomes_0():
    dataset, images = made(16, 4, high=4096, constant=True)
    inputs = applied(normalisation.of("dataset", dataset), images[0])
    assert np.isfinite(inputs).all()
    assert not inputs[..., -1].any()


def test_moments_are_of_the_split_that_is_trained_on():
    first, again = made(8, 1, content="x")[0], made(8, 1, content="x")[0]
    assert normalisation.of("dataset", first) == normalisation.of("dataset", again)  # read once
    other = made(8, 1, content="y")[0]
    assert normalisation.of("dataset", first) != normalisation.of("dataset", other)
    unnamed = [normalisation.of("dataset", made(8, 1)[0]) for _ in range(2)]
    assert unnamed[0] != unnamed[1]


@pytest.mark.parametrize("bits", [8, 16])
def test_the_full_range_is_from_minus_1_to_1(bits):
    dataset, _ = made(bits, 2)
    found = normalisation.of("full_range", dataset)
    ends = np.array([[[0, 2**bits - 1]]], f"uint{bits}")
    assert applied(found, ends).tolist() == [[[-1, 1]]]
    assert bits == 16 or found == EIGHT_BITS


def test_eight_bits_are_as_they_were_to_the_last_digit():
    image = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    expected = torch.from_numpy(image)[None].permute(0, 3, 1, 2).float() / 127.5 - 1
    assert torch.equal(EIGHT_BITS(torch.from_numpy(image[None]), CPU), expected)


def test_a_range_is_clipped_and_scaled():
    dataset, _ = made(16, 1)
    found = normalisation.of(Range(range=(1000, 3000)), dataset)
    values = np.array([0, 1000, 2000, 3000, 65535], np.uint16).reshape(1, 5, 1)
    assert applied(found, values).ravel().tolist() == [-1, -1, 0, 1, 1]


def test_imagenet_is_as_torchvision_has_it():
    from torchvision.models import ResNet50_Weights

    dataset, images = made(8, 3)
    expected = ResNet50_Weights.DEFAULT.transforms(crop_size=8, resize_size=8)
    rgb = images[2]
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    found = normalisation.of("imagenet", dataset)(torch.from_numpy(rgb[None]), CPU)[0]
    torch.testing.assert_close(found, expected(tensor), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("choice", "bits", "channels", "message"),
    [
        ("imagenet", 8, 4, "imagenet is of 3 channels, and images of d have 4; take dataset"),
        (Range(range=(0, 4095)), 8, 1, "the range ends at 4095, but pixels of d have 8 bits"),
    ],
)
def test_what_does_not_fit_the_images_is_refused(choice, bits, channels, message):
    with pytest.raises(UserError, match=message):
        normalisation.check(choice, made(bits, channels)[0])


@pytest.mark.parametrize(
    ("bits", "channels", "found"),
    [
        (16, 1, EIGHT_BITS),
        (8, 1, Normalisation(16, (1.0,), (1.0,), (0.0, 2.0))),
        (8, 3, Normalisation(8, (1.0,) * 4, (1.0,) * 4)),
    ],
)
def test_other_images_than_those_trained_on_are_refused(bits, channels, found):
    images = torch.from_numpy(np.zeros((1, 4, 4, channels), f"uint{bits}"))
    with pytest.raises(UserError, match="do not fit the normalisation"):
        found(images, CPU)


@pytest.mark.parametrize(
    ("choice", "formula"),
    [
        ("full_range", "pixel / 32767.5 - 1"),
        (Range(range=(0, 4095)), "clip(pixel, 0, 4095) / 2047.5 - 1"),
        (Range(range=(100, 300)), "(clip(pixel, 100, 300) - 200) / 100"),
        ("imagenet", "(pixel - [31784.475, "),
    ],
)
def test_the_formula_is_written_out(choice, formula):
    assert normalisation.of(choice, made(16, 3)[0]).formula().startswith(formula)
