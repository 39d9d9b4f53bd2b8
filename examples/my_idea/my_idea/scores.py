"""A metric: a function (prediction, truth, **options) → the score of one image."""

import numpy as np


def missing_classes(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the share of an image's classes of which no pixel was found.

    Both are (H, W) labels; 255 in the truth is void. The metric of a trial is the mean over the
    images; NaN would leave an image out.
    """
    counted = truth != 255
    classes = np.unique(truth[counted])
    if len(classes) == 0:
        return float("nan")
    found = np.unique(prediction[counted & (prediction == truth)])
    return 1 - len(found) / len(classes)


missing_classes.higher_is_better = False
