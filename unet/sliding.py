"""What U-Net replaced: a classifier of small windows, moved over every pixel of an image.

Cireşan, Giusti, Gambardella, Schmidhuber, "Deep Neural Networks Segment Neuronal Membranes in
Electron Microscopy Images", NIPS 2012: the class of a pixel is decided from the square window
around it. `WindowClassifier` is that network. `SlidingWindow` gives what it would give in every
position, computed once for all of them; what two windows share is not computed again.
"""

from __future__ import annotations

from torch import Tensor, nn

# Side of the window in pixels -> kernel sizes of its convolutions; a 2×2 max pooling follows each.
# 95 is the paper's network N4. The paper has networks with a window of 65 too (N1 to N3) but prints
# no table of them: 65 is N4 with one step less, and kernels by which every pooling comes out even.
# Otherwise the last row and column of a window would go unseen, and its middle not be its pixel.
WINDOWS: dict[int, tuple[int, ...]] = {65: (4, 4, 5), 95: (4, 5, 4, 4)}
MAPS, HIDDEN = 48, 200  # of a convolution, and of the layer that sees all of the last maps


class WindowClassifier(nn.Module):
    """Names the class of the pixel in the middle of a window.

    Convolutions, each with ReLU and 2×2 max pooling, a fully connected layer with ReLU and one
    output a class. Both last layers are kept as convolutions: over all of the last maps, and 1×1.

    Args:
        in_channels: channels of the images.
        num_classes: number of outputs.
        window: side of the window, a key of ``WINDOWS``.
        base_channels: maps of every convolution, 48 in the paper. The fully connected layer's 200
            values become more or fewer in proportion.

    Raises:
        ValueError: if an argument is none of the values that it may have.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, window: int = 95, base_channels: int = MAPS
    ) -> None:
        super().__init__()
        self.window = window
        self.layers = _layers(in_channels, num_classes, window, base_channels, dense=False)

    def forward(self, windows: Tensor) -> Tensor:
        """Return the logits (N, num_classes) of windows (N, C, window, window).

        Raises:
            ValueError: if the windows are of another size.
        """
        if windows.ndim != 4 or windows.shape[2:] != (self.window, self.window):
            raise ValueError(
                f"windows must be (N, C, {self.window}, {self.window}), not {tuple(windows.shape)}"
            )
        logits: Tensor = self.layers(windows).flatten(1)
        return logits


class SlidingWindow(nn.Module):
    """Names the class of every pixel by the window around it: `WindowClassifier`, densely.

    Instead of every second value, pooling keeps all of them, and what follows looks at every
    second, fourth, … one: poolings of stride 1 and convolutions whose taps lie as far apart as all
    poolings before have halved. An output pixel then depends on its own window alone, and the
    output is `margin` pixels smaller than the input in height and in width.
    (Giusti et al. 2013, arXiv:1302.1700, has the idea, by fragments of maps instead.)

    Args:
        in_channels: channels of the images.
        num_classes: channels of the output.
        window: side of the window, a key of ``WINDOWS``.
        base_channels: maps of every convolution; see `WindowClassifier`.

    Raises:
        ValueError: if an argument is none of the values that it may have.
    """

    def __init__(
        self, in_channels: int, num_classes: int, *, window: int = 95, base_channels: int = MAPS
    ) -> None:
        super().__init__()
        self.sizes = in_channels, num_classes
        self.window, self.base_channels = window, base_channels
        self.layers = _layers(in_channels, num_classes, window, base_channels, dense=True)

    @property
    def margin(self) -> int:
        """By how many pixels the output is smaller than the input, in height and in width."""
        return self.window - 1

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, num_classes, H - margin, W - margin) of images (N, C, H, W).

        Raises:
            ValueError: if not even one window fits into the images.
        """
        if images.ndim != 4:
            raise ValueError(f"images must be (N, C, H, W), not {tuple(images.shape)}")
        if min(images.shape[2:]) < self.window:
            raise ValueError(
                f"images of {images.shape[2]} × {images.shape[3]} pixels are smaller than a window "
                f"of {self.window}"
            )
        logits: Tensor = self.layers(images)
        return logits

    def classifier(self) -> WindowClassifier:
        """Return the classifier that is moved; it shares the parameters, not only their values."""
        small = WindowClassifier(*self.sizes, window=self.window, base_channels=self.base_channels)
        for theirs, ours in zip(small.layers, self.layers, strict=True):
            if isinstance(theirs, nn.Conv2d) and isinstance(ours, nn.Conv2d):
                theirs.weight, theirs.bias = ours.weight, ours.bias
        return small


def map_sizes(window: int) -> list[int]:
    """Return the side of each layer's map, from the window to the fully connected layer's input.

    For 95: 95, 92, 46, 42, 21, 18, 9, 6, 3.
    """
    sizes = [window]
    for kernel in WINDOWS[window]:
        convolved = sizes[-1] - kernel + 1
        sizes += [convolved, convolved // 2]
    return sizes


def _layers(
    in_channels: int, num_classes: int, window: int, maps: int, *, dense: bool
) -> nn.Sequential:
    """Build the layers of the classifier, or the same ones over all positions at once."""
    if window not in WINDOWS:
        raise ValueError(f"window must be one of {', '.join(map(str, WINDOWS))}, not {window!r}")
    if min(in_channels, num_classes, maps) < 1:
        raise ValueError("in_channels, num_classes and base_channels must be at least 1")
    layers = nn.Sequential()
    spread, channels = 1, in_channels  # how far apart neighbours of a classifier's map now lie
    for step, kernel in enumerate(WINDOWS[window], start=1):
        layers.add_module(f"conv{step}", nn.Conv2d(channels, maps, kernel, dilation=spread))
        layers.add_module(f"relu{step}", nn.ReLU(inplace=True))
        layers.add_module(f"pool{step}", nn.MaxPool2d(2, stride=1 if dense else 2, dilation=spread))
        spread, channels = 2 * spread if dense else 1, maps
    hidden = round(maps * HIDDEN / MAPS)
    layers.add_module("full", nn.Conv2d(maps, hidden, map_sizes(window)[-1], dilation=spread))
    layers.add_module("relu", nn.ReLU(inplace=True))
    layers.add_module("out", nn.Conv2d(hidden, num_classes, 1))
    return layers
