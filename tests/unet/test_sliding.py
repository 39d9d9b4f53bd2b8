"""The dense network against its classifier, moved window by window; the paper's layer table."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from unet.sliding import WINDOWS, SlidingWindow, WindowClassifier, map_sizes
from unet.tiling import predict_tiled

# Side of each layer's map. For 95 it is the table that the paper prints of its network N4.
TABLE = {65: [65, 62, 31, 28, 14, 10, 5], 95: [95, 92, 46, 42, 21, 18, 9, 6, 3]}


def by_hand(state, window):
    """Classify one window (C, w, w) with the parameters of a state dict, layer by layer."""
    x = window[None]
    for step in range(1, len(WINDOWS[window.shape[-1]]) + 1):
        x = F.conv2d(x, state[f"layers.conv{step}.weight"], state[f"layers.conv{step}.bias"])
        rows, columns = x.shape[2] // 2, x.shape[3] // 2
        assert x.shape[2:] == (2 * rows, 2 * columns)  # nothing is left over
        x = x.clamp(min=0).reshape(1, -1, rows, 2, columns, 2).amax((3, 5))
    weight = state["layers.full.weight"].flatten(1)
    x = (weight @ x.flatten() + state["layers.full.bias"]).clamp(min=0)
    return state["layers.out.weight"][:, :, 0, 0] @ x + state["layers.out.bias"]


@pytest.mark.parametrize("window", WINDOWS)
def test_every_pixel_is_what_the_classifier_says_of_its_window(window):
    torch.manual_seed(0)
    network = SlidingWindow(2, 3, window=window, base_channels=5).double()
    images = torch.randn(2, 2, window + 4, window + 2, dtype=torch.float64)
    result = network(images)
    assert result.shape == (2, 3, 5, 3)
    assert images.shape[2] - result.shape[2] == network.margin
    state, small = network.state_dict(), network.classifier()
    for row in range(5):
        for column in range(3):
            windows = images[:, :, row : row + window, column : column + window]
            torch.testing.assert_close(small(windows), result[:, :, row, column])
            expected = by_hand(state, windows[1])
            torch.testing.assert_close(result[1, :, row, column], expected)


@pytest.mark.parametrize("window", WINDOWS)
def test_gradients_are_those_of_all_windows(window):
    torch.manual_seed(1)
    network = SlidingWindow(1, 2, window=window, base_channels=4).double()
    image = torch.randn(1, 1, window + 2, window + 3, dtype=torch.float64)
    target = torch.randint(2, (1, 3, 4))
    F.cross_entropy(network(image), target).backward()
    dense = [parameter.grad for parameter in network.parameters()]
    network.zero_grad(set_to_none=True)
    windows = image.unfold(2, window, 1).unfold(3, window, 1)  # (1, 1, 3, 4, w, w)
    windows = windows.reshape(12, 1, window, window)
    F.cross_entropy(network.classifier()(windows), target.flatten()).backward()
    assert dense
    for parameter, gradient in zip(network.parameters(), dense, strict=True):  # shared
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.parametrize("window", WINDOWS)
def test_layer_table(window):
    assert map_sizes(window) == TABLE[window]
    network = WindowClassifier(1, 2, window=window)
    shapes = []
    for layer in network.layers:
        if not isinstance(layer, nn.ReLU):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    assert network(torch.zeros(1, 1, window, window)).shape == (1, 2)
    assert shapes == [(48, side, side) for side in TABLE[window][1:]] + [(200, 1, 1), (2, 1, 1)]


@pytest.mark.parametrize(
    ("window", "in_channels", "width", "expected"),
    [
        # Weights, then biases.
        (95, 1, 48, 16 * 48 + (25 + 16 + 16) * 48**2 + 9 * 48 * 200 + 200 * 2 + 4 * 48 + 202),
        (65, 1, 48, 16 * 48 + (16 + 25) * 48**2 + 25 * 48 * 200 + 200 * 2 + 3 * 48 + 202),
        (65, 3, 12, 16 * 36 + (16 + 25) * 12**2 + 25 * 12 * 50 + 50 * 2 + 3 * 12 + 52),
    ],
)
def test_number_of_parameters(window, in_channels, width, expected):
    for kind in (SlidingWindow, WindowClassifier):
        network = kind(in_channels, 2, window=window, base_channels=width)
        assert sum(parameter.numel() for parameter in network.parameters()) == expected


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_is_seen_to_its_edges(window):
    torch.manual_seed(2)
    network = SlidingWindow(1, 2, window=window, base_channels=8)
    windows = torch.randn(24, 1, window, window, requires_grad=True)
    network(windows)[:, 0].sum().backward()
    seen = windows.grad.abs().sum((0, 1)) > 0
    assert all(edge.any() for edge in (seen[0], seen[-1], seen[:, 0], seen[:, -1]))


def test_tiles_give_the_prediction_of_the_whole_mirrored_image():
    torch.manual_seed(3)
    network = SlidingWindow(1, 2, window=65, base_channels=4).double()
    image = torch.randn(1, 50, 41, dtype=torch.float64)
    whole = network(F.pad(image[None], [32] * 4, mode="reflect"))[0]
    assert whole.shape[1:] == image.shape[1:]
    tiled = predict_tiled(network, image, tile=64 + 17, margin=32, batch_size=2)
    torch.testing.assert_close(tiled, whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 64}, "window must be one of 65, 95, not 64"),
        ({"base_channels": 0}, "must be at least 1"),
    ],
)
def test_arguments_that_are_refused(change, message):
    for kind in (SlidingWindow, WindowClassifier):
        with pytest.raises(ValueError, match=message):
            kind(1, 2, **change)


def test_sizes_that_are_refused():
    network = SlidingWindow(1, 2, window=65, base_channels=2)
    with pytest.raises(ValueError, match="64 × 80 pixels are smaller than a window of 65"):
        network(torch.zeros(1, 1, 64, 80))
    with pytest.raises(ValueError, match=r"images must be \(N, C, H, W\)"):
        network(torch.zeros(1, 80, 80))
    with pytest.raises(ValueError, match=r"windows must be \(N, C, 65, 65\)"):
        network.classifier()(torch.zeros(1, 1, 66, 65))
