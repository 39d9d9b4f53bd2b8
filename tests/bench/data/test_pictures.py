"""Pictures of images: as they are, or neither black nor white."""

import numpy as np
import pytest

from bench.data import pictures

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_of_8_bits_is_shown_as_it_is(channels):
    image = RNG.integers(0, 256, (5, 6, channels), dtype=np.uint8)
    np.testing.assert_array_equal(pictures.picture(image), image)
    assert pictures.about(channels, 8) == ""


@pytest.mark.parametrize(("channels", "shown"), [(1, 1), (2, 1), (3, 3), (4, 3), (9, 3)])
def test_12_bits_fill_the_range_whatever_their_channels(channels, shown):
    image = RNG.integers(300, 4096, (40, 50, channels), dtype=np.uint16)
    found = pictures.picture(image)
    assert found.shape == (40, 50, shown)
    assert found.dtype == np.uint8
    assert (found.min(), found.max()) == (0, 255)
    order = np.argsort(image[..., 0].ravel(), kind="stable")
    assert (np.diff(found[..., 0].ravel()[order].astype(int)) >= 0).all()
    assert "1st and the 99th percentile" in pictures.about(channels, 16)
    assert (f"3 of {channels} channels" in pictures.about(channels, 16)) == (channels > 3)


def test_an_image_of_one_value_is_black():
    assert not pictures.picture(np.full((4, 4, 1), 700, np.uint16)).any()
