"""The classifier of the window around each pixel, computed for all pixels together."""

from __future__ import annotations

from functools import partial

from bench.training.models import Architecture, ModelSettings
from bench.training.networks.initial import initialised
from unet.sliding import SlidingWindow, WindowClassifier


def sliding_window(settings: ModelSettings) -> Architecture:
    """Return the network that U-Net replaced, a classifier of the window around each pixel."""
    window, he = settings.window, settings.init == "he"
    options = {"window": window, "base_channels": settings.base_channels}
    return Architecture(
        lambda channels, classes: initialised(SlidingWindow(channels, classes, **options), he=he),
        frozenset({"base_channels", "window", "init"}),
        size_multiple=1,
        margin=window - 1,
        nearest_sizes=lambda size: (max(size, window), max(size, window)),
        misfit=f"is too small for a window of {window} pixels; at least",
        window=partial(WindowClassifier, **options),
    )
