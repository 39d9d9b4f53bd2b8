"""Scores of cell segmentations in electron microscopy, from connected components.

Two labelled images of the same slice are compared, 0 = membrane and every other value one
segment. With p_ij the share of pixels that lie in segment i of the prediction and in segment j
of the truth, s_i and t_j its sums,

    V_rand  = Σ p_ij² / (½ Σ s_i² + ½ Σ t_j²),   split Σ p_ij² / Σ t_j²,   merge Σ p_ij² / Σ s_i²
    V_info  = I(S;T) / (½ H(S) + ½ H(T)),        split I / H(S),           merge I / H(T)

A cut through a cell lowers the split part only, two cells made one the merge part only; the
score is the harmonic mean of both.

Shares are of the truth's cells: a pixel of the true membrane counts nowhere. A pixel of a true
cell that is predicted as membrane is a segment of its own, of one pixel.

`skimage.metrics.adapted_rand_error` is another estimate: it counts pairs of two different
pixels, which changes a score by about one over the size of a cell, and takes all predicted
membrane for one segment, which changes it greatly; what it calls precision is the split part.
`variation_of_information` gives H(S|T) and H(T|S), again with one segment of membrane.

Source: Arganda-Carreras et al. 2015, doi:10.3389/fnana.2015.00142; how membrane is treated is
that of the ISBI-2012 challenge's own program.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Segments = NDArray[np.integer[Any]]  # (H, W), 0 = membrane
Labels = NDArray[np.integer[Any] | np.bool_]  # (H, W) or (N, H, W), 0 = membrane, 1 = cell
_VOID = 255


class SegmentScore(NamedTuple):
    """A score and what it is the harmonic mean of; each from 0 to 1, 1 = perfect."""

    score: float
    split: float
    merge: float


def em_scores(prediction: Labels, truth: Labels, *, thin: bool = True) -> dict[str, float]:
    """Return the scores of predicted pixels, every slice's components labelled on their own.

    Args:
        prediction: 0 = membrane, 1 = cell; (H, W), or (N, H, W) for N slices.
        truth: the same shape; also 255 for pixels that count nowhere.
        thin: first grow the predicted segments until membranes are one pixel wide. So the
            challenge ranks; without it, scores depend on how thick membranes are drawn.

    Returns:
        ``v_rand``, ``v_info`` and the ``_split`` and ``_merge`` of each, and ``pixel_error``;
        means over the slices whose truth has a cell (pixel error: a pixel that counts), NaN
        where there is none.

    Raises:
        ValueError: if the shapes differ or do not fit, or another label occurs.
    """
    prediction, truth = _check_labels(prediction, truth)
    rows = [
        _slice_scores(guess, answer, thin) for guess, answer in zip(prediction, truth, strict=True)
    ]
    return {name: _mean_of_numbers([row[name] for row in rows]) for name in _NAMES}


def components(cells: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number the 4-connected regions of an (H, W) mask from 1 on; 0 outside.

    Cells that touch at a corner only are two: a diagonal membrane one pixel wide separates.
    """
    numbers, _ = ndimage.label(cells)
    return np.asarray(numbers, dtype=np.int32)


def thinned(segments: Segments) -> NDArray[np.int32]:
    """Grow (H, W) segments at the same pace until the membranes left are one pixel wide.

    Where there is no segment, none appears.
    """
    from skimage import segmentation  # slow to import; only this needs it

    watershed: Any = segmentation.watershed  # untyped
    if not segments.any():
        return np.zeros(segments.shape, dtype=np.int32)
    # On a flat image the flood comes to a pixel in the order of its distance in steps.
    flat = (segments == 0).astype(np.uint8)
    grown = watershed(flat, markers=segments, connectivity=1, watershed_line=True)
    return np.asarray(grown, dtype=np.int32)


def v_rand(prediction: Segments, truth: Segments) -> SegmentScore:
    """Return the foreground-restricted Rand score of (H, W) segments; NaN without a true cell.

    The merge part is the chance that two pixels of one predicted segment are of one true one,
    the split part that two pixels of one true segment are of one predicted one.

    Raises:
        ValueError: if the shapes differ.
    """
    joint, predicted, true = (float((shares**2).sum()) for shares in _shares(prediction, truth))
    if joint == 0:
        return SegmentScore(np.nan, np.nan, np.nan)
    split, merge = _share_of(joint, true), _share_of(joint, predicted)
    return SegmentScore(_share_of(2 * joint, predicted + true), split, merge)


def v_info(prediction: Segments, truth: Segments) -> SegmentScore:
    """Return the foreground-restricted information score of (H, W) segments.

    Without a true cell it is NaN. Where prediction or truth is one segment its entropy is 0
    and there is nothing to lose: the part divided by it is 1.

    Raises:
        ValueError: if the shapes differ.
    """
    joint, predicted, true = _shares(prediction, truth)
    if joint.size == 0:
        return SegmentScore(np.nan, np.nan, np.nan)
    entropies = _entropy(predicted), _entropy(true)
    information = sum(entropies) - _entropy(joint)
    split, merge = (_share_of(information, entropy) for entropy in entropies)
    return SegmentScore(_share_of(2 * information, sum(entropies)), split, merge)


def pixel_error(prediction: Labels, truth: Labels) -> float:
    """Return which share of the pixels is wrong, membrane or cell; NaN where none counts.

    Args:
        prediction: 0 = membrane, 1 = cell; (H, W) or (N, H, W).
        truth: the same shape; also 255 for pixels that count nowhere.

    Raises:
        ValueError: if the shapes differ or do not fit, or another label occurs.
    """
    prediction, truth = _check_labels(prediction, truth)
    counted = truth != _VOID
    number = np.count_nonzero(counted)
    wrong = np.count_nonzero((prediction != truth) & counted)
    return float(wrong / number) if number else np.nan


def _slice_scores(prediction: Labels, truth: Labels, thin: bool) -> dict[str, float]:
    predicted = components(prediction == 1)
    if thin:
        predicted = thinned(predicted)
    true = components(truth == 1)
    values = *v_rand(predicted, true), *v_info(predicted, true), pixel_error(prediction, truth)
    return dict(zip(_NAMES, values, strict=True))


def _shares(
    prediction: Segments, truth: Segments
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return p_ij, s_i and t_j, those that are not 0, each flat and adding up to 1."""
    if prediction.shape != truth.shape:
        raise ValueError(
            f"prediction and truth must have the same shape, not {prediction.shape} "
            f"and {truth.shape}"
        )
    inside = truth != 0
    _, predicted = np.unique(prediction[inside], return_inverse=True)
    _, true = np.unique(truth[inside], return_inverse=True)
    membrane = prediction[inside] == 0
    alone = predicted.max(initial=0) + 1 + np.arange(np.count_nonzero(membrane))
    predicted[membrane] = alone
    pairs = predicted.astype(np.int64) * (true.max(initial=0) + 1) + true
    _, together = np.unique(pairs, return_counts=True)
    number = max(true.size, 1)
    sizes = np.bincount(predicted), np.bincount(true)
    return together / number, sizes[0][sizes[0] > 0] / number, sizes[1] / number


def _entropy(shares: NDArray[np.float64]) -> float:
    """Return -Σ p log₂ p in bits, of shares above 0."""
    return float(-(shares * np.log2(shares)).sum())


def _share_of(part: float, whole: float) -> float:
    """Return part / whole without what rounding adds outside of 0 ... 1; 0 / 0 is 1."""
    if whole < 1e-12:  # bits: far less than two pixels apart among any number of them have
        return 1.0
    return min(max(part / whole, 0.0), 1.0)


def _mean_of_numbers(values: list[float]) -> float:
    numbers = [value for value in values if not np.isnan(value)]
    return sum(numbers) / len(numbers) if numbers else np.nan


def _check_labels(
    prediction: Labels, truth: Labels
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Return both as (N, H, W) integers."""
    if prediction.shape != truth.shape or truth.ndim not in (2, 3):
        raise ValueError(
            "prediction and truth must both be (H, W) or (N, H, W), "
            f"not {prediction.shape} and {truth.shape}"
        )
    for name, labels, known in (
        ("prediction", prediction, (0, 1)),
        ("truth", truth, (0, 1, _VOID)),
    ):
        others = labels[~np.isin(labels, known)]
        if others.size:
            raise ValueError(f"{name} holds {others.flat[0]}; known are {known}")
    shape = -1, *truth.shape[-2:]
    return prediction.astype(np.int64).reshape(shape), truth.astype(np.int64).reshape(shape)


_NAMES = (
    *("v_rand", "v_rand_split", "v_rand_merge"),
    *("v_info", "v_info_split", "v_info_merge"),
    "pixel_error",
)
