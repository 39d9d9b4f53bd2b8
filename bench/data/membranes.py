"""What datasets of cells between membranes share: their two classes, and scores of components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COLOURS = {"membrane": (0, 0, 0), "cell": (255, 255, 255)}  # label 0, label 1
METRICS = ("v_rand", "v_info")  # that an experiment may be about


def scores(prediction: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, float]:
    """Return ``unet.segments.em_scores`` of (H, W) labels."""
    from unet import segments  # imports torch, which listing datasets has no need of

    return segments.em_scores(prediction, truth)
