"""Whether the numbers of a record are those that its raw samples give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.store.details import Details, OfImage
from bench.store.files import Damaged
from bench.store.folder import Store
from bench.store.image_counts import Counts, pack
from bench.store.records import Record
from bench.store.results import ThroughputResult, agree

_CONFUSION, _IMAGES, _SAMPLES = "confusion matrices", "images", "samples"

Expected = tuple[str, Any, Any, str]  # name, value in the record, value of the details, of what


class Contradicted(Damaged):
    """A record is not what its details say: there is no telling which of its numbers are right."""


def sampled(store: Store, record: Record) -> tuple[Details, Counts | None]:
    """Return the details of a trial, and the counts among them, packed.

    Raises Contradicted if a number of the record is not the one that they give, else Damaged if
    they cannot be used.
    """
    details = store.details(record.key)
    classes = 0 if record.accuracy is None else len(record.accuracy.classes)
    try:
        counts = pack(details, classes) if classes else None
    except ValueError as error:
        raise Damaged(store.details_file(record.key), f"damaged ({error})") from None
    if why := disagreement(record, details, counts):
        raise Contradicted(store.record_file(record.key), why)
    return details, counts


def disagreement(record: Record, details: Details, counts: Counts | None) -> str | None:
    """Say which number of a result is not the one that its details give; None if all are.

    ``counts`` are those of the details, packed. Where details hold no samples, nothing is said.
    """
    for name, found, expected, source in _pairs(record, details, counts):
        if not _agree(found, expected):
            return f"its {name} {_brief(found)} is not that of its {source}, {_brief(expected)}"
    return None


def _pairs(record: Record, details: Details, counts: Counts | None) -> Iterator[Expected]:
    if record.throughput is not None:
        yield from _timed(record.throughput, details)
    if record.accuracy is None:
        return
    found, classes = record.accuracy.metrics, len(record.accuracy.classes)
    if counts is not None:
        for name, value in scores(counts.total()).items():
            yield name, found.get(name), value, _CONFUSION
        evaluated = record.accuracy.counts.get("evaluated_images")
        yield "evaluated_images", evaluated, len(counts.names), _CONFUSION
        if details.per_image:
            named = sorted(details.per_image)
            yield "images", named, sorted(counts.names), _CONFUSION
    if details.per_image:
        for name, value in _of_images(details.per_image, classes).items():
            yield name, found.get(name), value, _IMAGES


def scores(matrix: NDArray[np.int64]) -> dict[str, Any]:
    """Return the scores of a (C, C) confusion matrix, rows = truth; None where undefined.

    They are those of ``unet.metrics``, which reports do not import: it needs torch.
    """
    right, truth, predicted = np.diagonal(matrix), matrix.sum(1), matrix.sum(0)
    iou = _ratios(right, truth + predicted - right)
    recall = _ratios(right, truth)
    defined = [value for value in iou if value is not None]
    weighted = sum(t * value for t, value in zip(truth.tolist(), iou, strict=True) if value)
    pixels = int(truth.sum())
    return {
        "mean_iou": _mean(iou),
        "pixel_accuracy": int(right.sum()) / pixels if pixels else None,
        "mean_class_accuracy": _mean(recall),
        "frequency_weighted_iou": weighted / pixels if pixels else None,
        "classes_averaged": len(defined),
        "classes_in_truth": int((truth > 0).sum()),
        "iou": iou,
        "dice": _ratios(2 * right, truth + predicted),
        "precision": _ratios(right, predicted),
        "recall": recall,
    }


def _of_images(images: Mapping[str, OfImage], classes: int) -> dict[str, Any]:
    """Return boundary IoU, from sums over the images, and the means of the dataset's own scores."""
    intersection, union = [0] * classes, [0] * classes
    for image in images.values():
        for label, inside, whole in image.boundary:
            if label < classes:
                intersection[label] += inside
                union[label] += whole
    by_class = _ratios(intersection, union)
    first = next(iter(images.values())).scores
    own = {name: _mean([image.scores.get(name) for image in images.values()]) for name in first}
    return {"boundary_iou": by_class, "mean_boundary_iou": _mean(by_class), **own}


def _timed(result: ThroughputResult, details: Details) -> Iterator[Expected]:
    """Yield the times of a call, quartiles over windows, and how many calls there were."""
    if details.wall_ms:
        quartiles = np.quantile(details.wall_ms, [0.25, 0.5, 0.75]).tolist()
        for name, value in zip(("_low", "", "_high"), quartiles, strict=True):
            yield f"milliseconds{name}", getattr(result, f"milliseconds{name}"), value, _SAMPLES
        calls = len(details.wall_ms) * result.warm_up.calls_in_window
        yield "calls", result.counts.get("calls"), calls, _SAMPLES
    if details.busy_ms:
        busy = float(np.median(details.busy_ms))
        yield "busy_milliseconds", result.busy_milliseconds, busy, _SAMPLES
    if details.warm_up_ms:
        windows = len(details.warm_up_ms)
        yield "windows of warming up", result.warm_up.windows, windows, _SAMPLES


def _agree(found: Any, expected: Any) -> bool:
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_agree, found, expected))
    if isinstance(found, str) or isinstance(expected, str):
        return bool(found == expected)
    if isinstance(found, list) or isinstance(expected, list):
        return False
    return agree(found, expected)


def _brief(value: Any) -> str:
    """Return a number as text; of a list no more than its beginning."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"[{', '.join(map(_brief, value[:3]))}{', …' if len(value) > 3 else ''}]"
    return "none" if value is None else str(value)


def _ratios(parts: Any, wholes: Any) -> list[float | None]:
    pairs = zip(np.asarray(parts).tolist(), np.asarray(wholes).tolist(), strict=True)
    return [part / whole if whole else None for part, whole in pairs]


def _mean(values: list[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None
