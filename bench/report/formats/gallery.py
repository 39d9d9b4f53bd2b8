"""The example images of a page: images, truths and predictions, small enough to be inside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from bench.analysis.analysis import Analysis
from bench.report.content import facts
from bench.report.figures.choice import examples, shared_images, with_examples
from bench.report.figures.examples import Picture, painted, read_image
from bench.store.records import Record
from bench.store.results import Example

MOST_RANKED_ARMS, MOST_RANKED = 4, 2  # with their worst and best images, so many of each
_NAMED = 4  # classes that an alternative text names
_QUALITY = 72  # of photographs; labels are kept as they are


@dataclass(frozen=True)
class Shot:
    """One picture: its title, what it shows in words, a data URI, width and height in pixels."""

    kind: Literal["image", "truth", "prediction"]
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
    """All pictures of a page."""

    seeds: Mapping[str, int]  # arm → seed of the network whose predictions are shown
    compared: tuple[Scene, ...]  # the same images as predicted by several arms
    ranked: Mapping[str, tuple[Scene, ...]]  # arm → its worst and best images
    legend: Mapping[str, tuple[int, int, int]]  # class → RGB, of the classes that occur in any
    void: bool  # whether some pixels are void
    about: tuple[str, ...] = ()  # what pictures of images show, if not all of them

    @property
    def comparable(self) -> bool:
        """Whether predictions can be laid over their images, or beside the truth."""
        return any(shot.kind == "image" for scene in self.compared for shot in scene.shots)


def gallery(results: Analysis) -> Gallery | None:
    """Choose pictures for a page and encode them; None where none are stored."""
    records = with_examples(results)
    if not records:
        return None
    painter = _Painter(results)
    compared = []
    for name, found in shared_images(records).items():
        predictions = {arm: (records[arm], example) for arm, example in found.items()}
        compared.append(painter.scene(name, "", predictions))
    ranked: dict[str, list[Scene]] = {}
    for arm, record in with_examples(results, MOST_RANKED_ARMS).items():
        for why in ("worst", "best"):
            for example in examples(record, why)[:MOST_RANKED]:
                scene = painter.scene(example.name, why, {"prediction": (record, example)})
                ranked.setdefault(arm, []).append(scene)
    return Gallery(
        {arm: record.seed for arm, record in records.items()},
        tuple(compared),
        {arm: tuple(scenes) for arm, scenes in ranked.items()},
        {name: rgb for name, rgb in results.palette.items() if name in painter.occurring},
        None in painter.occurring,
        tuple(facts.pictures(results)),
    )


class _Painter:
    """Encodes stored pictures, and remembers which classes it met."""

    def __init__(self, results: Analysis) -> None:
        self._results = results
        self.occurring: set[str | None] = set()

    def scene(
        self, name: str, note: str, predictions: Mapping[str, tuple[Record, Example]]
    ) -> Scene:
        """Return an image with its truth and predictions, title → whose they are."""
        record, example = next(iter(predictions.values()))
        shots = []
        if example.image is not None:
            photo = Image.fromarray(read_image(self._results.store, example.image))
            source = _uri(photo, "webp", quality=_QUALITY)
            shots.append(Shot("image", "image", f"{name}, the image", source, photo.size))
        if example.truth is not None:
            shots.append(self._labels("truth", "truth", record, example, example.truth))
        for title, (of, one) in predictions.items():
            shots.append(self._labels("prediction", title, of, one, one.prediction))
        return Scene(name, note, tuple(shots))

    def _labels(
        self,
        kind: Literal["truth", "prediction"],
        title: str,
        record: Record,
        example: Example,
        blob: str,
    ) -> Shot:
        colours, found = painted(self._results, record, blob)
        self.occurring |= found.keys()
        shown = ", ".join(
            f"{'void' if name is None else name} {share:.0%}"
            for name, share in list(found.items())[:_NAMED]
        )
        picture = _indexed(colours)
        what = kind if title == kind else f"{kind} of {title}"
        if kind == "prediction" and example.iou is not None:
            title = f"{title} · IoU {example.iou:.2f}"
        alt = f"{example.name}, {what}: {shown}"
        return Shot(kind, title, alt, _uri(picture, "png"), picture.size)


def _indexed(picture: Picture) -> Image.Image:
    """Return a picture of few colours as one with a table of them, a third as large."""
    packed = picture.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, places = np.unique(packed, return_inverse=True)
    indexed = Image.fromarray(places.reshape(packed.shape).astype(np.uint8), "P")
    indexed.putpalette(b"".join(int(colour).to_bytes(3, "big") for colour in colours))
    return indexed


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
