"""The pictures of a page: images, truths and predictions, small enough to be inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bench.analysis.analysis import Analysis
from bench.data.dataset import IGNORE_INDEX
from bench.report.figures.confusion import best_arm
from bench.report.figures.pictures import Labels, Picture, paint, read_image, read_labels
from bench.store.frame import DONE
from bench.store.records import Record
from bench.store.results import Example

MOST_ARMS, MOST_IMAGES = 8, 4  # side by side
MOST_RANKED_ARMS, MOST_RANKED = 4, 2  # with their worst and best images, so many of each
_NAMED = 4  # classes that an alternative text names
_QUALITY = 72  # of photographs; labels are kept as they are


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        kind: ``image``, ``truth`` or ``prediction``.
        title: what stands under it.
        alt: what it shows, in words.
        source: the picture itself, as a data URI; empty where there is none.
        size: width and height in pixels.
    """

    kind: str
    title: str
    alt: str
    source: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """One image, its truth, and predictions of it; ``note`` says why it is shown."""

    name: str
    note: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Gallery:
    """All pictures of a page.

    Attributes:
        compared: the same images as predicted by several arms.
        ranked: arm → its worst and best images.
        seeds: arm → seed of the network whose predictions are shown.
        legend: class → RGB, of the classes that occur in any of them.
        void: whether some pixels are void.
        left_out: how many arms are not shown.
    """

    compared: tuple[Scene, ...]
    ranked: Mapping[str, tuple[Scene, ...]]
    seeds: Mapping[str, int]
    legend: Mapping[str, tuple[int, int, int]]
    void: bool
    left_out: int


def gallery(results: Analysis) -> Gallery | None:
    """Choose pictures for a page and encode them; None where none are stored."""
    records = _records(results)
    if not records:
        return None
    shown = _first(results, records, MOST_ARMS)
    painter = _Painter(results)
    names = dict.fromkeys(p.name for arm in shown for p in _kept(records[arm], "chosen"))
    compared = tuple(
        _compared(painter, {arm: records[arm] for arm in shown}, name)
        for name in list(names)[:MOST_IMAGES]
    )
    ranked = {
        arm: tuple(_ranked(painter, records[arm]))
        for arm in _first(results, records, MOST_RANKED_ARMS)
    }
    return Gallery(
        compared,
        {arm: scenes for arm, scenes in ranked.items() if scenes},
        {arm: records[arm].seed for arm in shown},
        {name: rgb for name, rgb in results.palette.items() if name in painter.occurring},
        None in painter.occurring,
        len(results.arms) - len(shown),
    )


def _records(results: Analysis) -> dict[str, Record]:
    """Return arm → the record of its first trial in the plan that has pictures."""
    chosen: dict[str, Record] = {}
    for key, arm in zip(results.trials["key"], results.trials["arm"], strict=True):
        record = results.records.get(key)
        if record is not None and record.status == DONE and record.accuracy:
            if record.accuracy.examples:
                chosen.setdefault(arm, record)
    return {arm: chosen[arm] for arm in results.arms if arm in chosen}


def _first(results: Analysis, records: Mapping[str, Record], most: int) -> list[str]:
    """Return the baseline, the best arm and as many others as fit, in the order of the plan."""
    important = [arm for arm in (results.baseline_arm, best_arm(results)) if arm in records]
    kept = list(dict.fromkeys([*important, *records]))[:most]
    return [arm for arm in records if arm in kept]


def _kept(record: Record, why: str) -> list[Example]:
    examples = record.accuracy.examples if record.accuracy else ()
    return [example for example in examples if example.why == why]


def _compared(painter: _Painter, records: Mapping[str, Record], name: str) -> Scene:
    found = {
        arm: (record, panel)
        for arm, record in records.items()
        for panel in _kept(record, "chosen")
        if panel.name == name
    }
    record, panel = next(iter(found.values()))
    predictions = [
        painter.labels(record, panel, "prediction", arm) for arm, (record, panel) in found.items()
    ]
    truth = painter.labels(record, panel, "truth", "truth")
    return Scene(name, "", (painter.image(panel), truth, *predictions))


def _ranked(painter: _Painter, record: Record) -> Iterable[Scene]:
    for why in ("worst", "best"):
        for panel in _kept(record, why)[:MOST_RANKED]:
            shots = (
                painter.image(panel),
                painter.labels(record, panel, "truth", "truth"),
                painter.labels(record, panel, "prediction", "prediction"),
            )
            yield Scene(panel.name, why, shots)


class _Painter:
    """Encodes each stored picture once, and remembers which classes it met."""

    def __init__(self, results: Analysis) -> None:
        self._results = results
        self._encoded: dict[tuple[str, ...], tuple[str, tuple[int, int], str]] = {}
        self.occurring: set[str | None] = set()

    def image(self, panel: Example) -> Shot:
        blob = panel.image
        if (blob,) not in self._encoded:
            picture = Image.fromarray(read_image(self._results.store, blob))
            self._encoded[blob,] = _uri(picture, "webp", quality=_QUALITY), picture.size, ""
        source, size, _ = self._encoded[blob,]
        return Shot("image", "image", f"{panel.name}, the image", source, size)

    def labels(self, record: Record, panel: Example, kind: str, title: str) -> Shot:
        blob, names = getattr(panel, kind), record.accuracy.classes if record.accuracy else ()
        key = (blob, *names)
        if key not in self._encoded:
            labels = read_labels(self._results.store, blob)
            shares = _shares(labels, names)
            self.occurring |= shares.keys()
            words = [
                f"{'void' if name is None else name} {share:.0%}"
                for name, share in list(shares.items())[:_NAMED]
            ]
            picture = _indexed(paint(labels, names, self._results.palette))
            self._encoded[key] = _uri(picture, "png"), picture.size, ", ".join(words)
        source, size, shown = self._encoded[key]
        what = kind if title == kind else f"{kind} of {title}"
        iou = panel.iou if kind == "prediction" else None
        score = "" if iou is None else f" · IoU {iou:.2f}"
        return Shot(kind, title + score, f"{panel.name}, {what}: {shown}", source, size)


def _shares(labels: Labels, names: Sequence[str]) -> dict[str | None, float]:
    """Return class → share of the pixels, the largest first; void under None."""
    counts = np.bincount(labels.ravel(), minlength=IGNORE_INDEX + 1)
    order = np.argsort(-counts, kind="stable")
    return {
        None if label == IGNORE_INDEX else names[label]: counts[label] / labels.size
        for label in order.tolist()
        if counts[label]
    }


def _indexed(picture: Picture) -> Image.Image:
    """Return a picture of few colours as one with a table of them, a third as large."""
    red, green, blue = np.moveaxis(picture.astype(np.int32), -1, 0)
    colours, places = np.unique(red << 16 | green << 8 | blue, return_inverse=True)
    indexed = Image.fromarray(places.reshape(red.shape).astype(np.uint8), "P")
    table = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1)
    indexed.putpalette(table.astype(np.uint8).tobytes())
    return indexed


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
