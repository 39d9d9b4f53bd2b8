"""Images as pictures to look at, whatever their channels and bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Image

_ENDS = 1, 99  # percentiles of an image of 16 bits that become black and white


def picture(image: Image) -> NDArray[np.uint8]:
    """Return what can be shown of an image (H, W, channels): (H, W, 3) or grey (H, W, 1).

    One of 8 bits and 1 or 3 channels is shown as it is; see ``about`` for others.
    """
    shown = image[..., : 3 if image.shape[2] >= 3 else 1]
    if shown.dtype == np.uint8:
        return np.ascontiguousarray(shown, np.uint8)
    black, white = np.percentile(shown, _ENDS)
    scaled = (shown - black) / max(white - black, 1) * 255
    return np.asarray(scaled.round().clip(0, 255), np.uint8)


def about(channels: int, bits: int) -> str:
    """Return what pictures of such images show, in sentences; nothing if they show all of them."""
    said = []
    if channels > 3:
        said.append(f"Shown are the first 3 of {channels} channels, as red, green and blue.")
    if channels == 2:
        said.append("Shown is the first of 2 channels.")
    if bits > 8:
        said.append("Black and white are the 1st and the 99th percentile of each image's values.")
    return " ".join(said)
