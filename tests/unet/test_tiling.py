"""Tiled prediction against predicting the whole mirrored image at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from unet.tiling import mirror_indices, predict_tiled

RADIUS = 4  # of the receptive field of PADDED and UNPADDED


def network(padding, seed=0):
    """Two 5 x 5 convolutions in float64: receptive field 9 x 9."""
    torch.manual_seed(seed)
    first, second = (nn.Conv2d(*channels, 5, padding=padding) for channels in ((2, 4), (4, 3)))
    return nn.Sequential(first, nn.Tanh(), second).double()


PADDED, UNPADDED = network("same"), network("valid")


class Pooled(nn.Module):
    """Unpadded (5 pixels a side), its maps quartered: alike only at positions 4 k apart."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Conv2d(2, 4, 3).double()
        self.second = nn.Conv2d(4, 3, 3).double()

    def forward(self, images):
        quartered = functional.max_pool2d(self.first(images), 4)
        return functional.interpolate(self.second(quartered), scale_factor=4)


def picture(height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, height, width, generator=generator, dtype=torch.float64)


def mirrored(image, before, after):
    """The image continued by NumPy's mirroring, which repeats as often as it takes."""
    padded = np.pad(image.numpy(), ((0, 0), (before, after), (before, after)), mode="reflect")
    return torch.from_numpy(padded)


def whole(predict, image, margin):
    """Prediction of the image with mirrored margins, of which an unpadded network uses some."""
    with torch.no_grad():
        output = predict(mirrored(image, margin, margin)[None])[0]
    rest = (output.shape[1] - image.shape[1]) // 2
    return output[:, rest : rest + image.shape[1], rest : rest + image.shape[2]]


@given(
    height=st.integers(1, 33),
    width=st.integers(1, 33),
    tile=st.integers(3 * RADIUS, 30),
    spare=st.integers(0, 1),
    batch_size=st.integers(1, 5),
)
@settings(max_examples=30, deadline=None)
def test_unpadded_network_equals_whole_image_everywhere(height, width, tile, spare, batch_size):
    margin = RADIUS + spare
    image = picture(height, width)
    tiled = predict_tiled(UNPADDED, image, tile=tile, margin=margin, batch_size=batch_size)
    torch.testing.assert_close(tiled, whole(UNPADDED, image, RADIUS), rtol=0, atol=1e-12)


@given(
    height=st.integers(1, 33),
    width=st.integers(1, 33),
    tile=st.integers(3 * RADIUS, 30),
    batch_size=st.integers(1, 5),
)
@settings(max_examples=30, deadline=None)
def test_padded_network_equals_whole_mirrored_image(height, width, tile, batch_size):
    image = picture(height, width)
    tiled = predict_tiled(PADDED, image, tile=tile, margin=RADIUS, batch_size=batch_size)
    torch.testing.assert_close(tiled, whole(PADDED, image, RADIUS), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(33, 47), (64, 64), (20, 21)])
def test_padded_network_equals_whole_image_away_from_the_border(size):
    image = picture(*size)
    inner = (slice(None), slice(RADIUS, -RADIUS), slice(RADIUS, -RADIUS))
    expected = whole(PADDED, image, 0)
    tiled = predict_tiled(PADDED, image, tile=19, margin=RADIUS)
    torch.testing.assert_close(tiled[inner], expected[inner], rtol=0, atol=1e-12)
    assert not torch.allclose(tiled, expected)  # the border sees mirrored pixels, not zeros
    seams = predict_tiled(PADDED, image, tile=19, margin=RADIUS - 1)
    assert not torch.allclose(seams[inner], expected[inner])  # too small a margin does show


@pytest.mark.parametrize("size", [1, 9, 24])
def test_tile_of_the_images_size_is_one_plain_prediction(size):
    image = picture(size, size)
    calls = []

    def predict(tiles):
        calls.append(tiles)
        return PADDED(tiles)

    tiled = predict_tiled(predict, image, tile=size)
    assert len(calls) == 1
    torch.testing.assert_close(calls[0][0], image, rtol=0, atol=0)
    torch.testing.assert_close(tiled, whole(PADDED, image, 0), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [(24, 24), (17, 23), (5, 24)])
def test_one_tile_that_covers_image_and_margins_is_one_prediction(height, width):
    calls = []

    def predict(tiles):
        calls.append(tiles.shape)
        return UNPADDED(tiles)

    image = picture(height, width)
    tiled = predict_tiled(predict, image, tile=32, margin=RADIUS)
    assert calls == [(1, 2, 32, 32)]
    torch.testing.assert_close(tiled, whole(UNPADDED, image, RADIUS), rtol=0, atol=1e-12)


def test_the_papers_tiles():
    """512 x 512 in tiles of 572, of which 388 are kept: four tiles, at 0 and 388."""
    image = torch.arange(512.0)[:, None] * 1000 + torch.arange(512.0)
    corners = []

    def predict(tiles):
        corners.extend(tiles[:, 0, 92, 92].tolist())
        return tiles[:, :, 92:-92, 92:-92]

    tiled = predict_tiled(predict, image[None], tile=572, margin=92, batch_size=3)
    assert corners == [0, 388, 388_000, 388_388]
    assert torch.equal(tiled[0], image)


def test_margin_of_an_unpadded_network_is_found_out():
    image = picture(31, 26)
    expected = predict_tiled(UNPADDED, image, tile=20, margin=RADIUS)
    for margin in range(RADIUS):
        assert torch.equal(predict_tiled(UNPADDED, image, tile=20, margin=margin), expected)


@pytest.mark.parametrize(
    ("margin", "size", "alike"), [(5, 36, True), (6, 38, False), (7, 36, True), (7, 44, True)]
)
def test_step_of_a_pooling_network(margin, size, alike):
    """Tiles of 18 advance by 8, 6 or 4; of these 6 does not keep the pooling windows in place."""
    net, image = Pooled(), picture(size, size)
    tiled = predict_tiled(net, image, tile=18, margin=margin)
    assert torch.allclose(tiled, whole(net, image, margin), rtol=0, atol=1e-12) == alike


@pytest.mark.parametrize("net", [PADDED, UNPADDED])
def test_batch_size_does_not_matter(net):
    image = picture(40, 37)
    one, *others = (
        predict_tiled(net, image, tile=20, margin=RADIUS, batch_size=n) for n in (1, 2, 5, 100)
    )
    for other in others:
        torch.testing.assert_close(other, one, rtol=0, atol=1e-12)


def test_batches_are_full_but_for_the_last():
    sizes = []

    def predict(tiles):
        sizes.append(len(tiles))
        return tiles

    predict_tiled(predict, picture(25, 29), tile=10, batch_size=4)  # 3 x 3 tiles
    assert sizes == [4, 4, 1]


def test_type_and_channels_are_those_of_the_prediction():
    image = picture(13, 9).float()
    labels = predict_tiled(lambda x: x.argmax(1, keepdim=True), image, tile=8, margin=1)
    assert labels.dtype == torch.int64
    assert torch.equal(labels, image.argmax(0, keepdim=True))


def test_callable_may_reuse_its_output():
    buffer = torch.empty(1, 2, 8, 8, dtype=torch.float64)
    image = picture(20, 20)
    assert torch.equal(predict_tiled(buffer.copy_, image, tile=8, margin=1), image)


def test_no_gradient_is_recorded():
    assert not predict_tiled(PADDED, picture(9, 9), tile=12).requires_grad


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_indices_mirror_as_numpy_does(size):
    indices = mirror_indices(-25, size + 25, size)
    expected = np.pad(np.arange(size), 25, mode="reflect")
    assert indices.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("image", "arguments", "message"),
    [
        (torch.zeros(5, 5), {"tile": 4}, r"image must be \(C, H, W\)"),
        (torch.zeros(1, 0, 5), {"tile": 4}, "not empty"),
        (torch.zeros(1, 5, 5), {"tile": 4, "margin": -1}, "margin must not be negative"),
        (torch.zeros(1, 5, 5), {"tile": 4, "margin": 2}, "nothing left within margins of 2"),
        (torch.zeros(1, 5, 5), {"tile": 0}, "a tile of 0 pixels"),
        (torch.zeros(1, 5, 5), {"tile": 4, "batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_wrong_arguments_are_refused(image, arguments, message):
    with pytest.raises(ValueError, match=message):
        predict_tiled(lambda tiles: tiles, image, **arguments)


@pytest.mark.parametrize(
    "predict",
    [
        lambda tiles: tiles[0],
        lambda tiles: torch.cat([tiles, tiles]),
        lambda tiles: tiles[:, :, 1:, 1:],
        lambda tiles: tiles[:, :, 2:],
        lambda tiles: functional.pad(tiles, (1, 1, 1, 1)),
    ],
    ids=["no batch", "two batches", "odd", "oblong", "larger"],
)
def test_predictions_that_do_not_fit_are_refused(predict):
    with pytest.raises(ValueError, match="the prediction has shape"):
        predict_tiled(predict, torch.zeros(1, 9, 9), tile=6)


def test_network_that_loses_everything_is_refused():
    with pytest.raises(ValueError, match="nothing left"):
        predict_tiled(lambda tiles: tiles[:, :, 3:-3, 3:-3], torch.zeros(1, 9, 9), tile=6)
