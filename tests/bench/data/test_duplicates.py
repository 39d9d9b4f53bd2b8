import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.data import duplicates, registry
from bench.data.datasets import cells, scenes
from bench.data.duplicates import NEAR, Look, Shared, look, shared


def jpeg(image, quality=75):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def halved(image):
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


CHANGES = {
    "JPEG": jpeg,
    "coarse JPEG, halved": lambda image: jpeg(halved(image), 50),
    "brighter": lambda image: np.clip(image * 1.1 + 10, 0, 255).astype(np.uint8),
    "gamma": lambda image: (255 * (image / 255) ** 0.7).astype(np.uint8),
    "stretched": lambda image: cv2.resize(image, (150, 150)),
    "16 bits": lambda image: image.astype(np.uint16) * 257,
    "mirrored": lambda image: image[:, ::-1],
    "upside down": lambda image: image[::-1],
    "turned left": np.rot90,
    "turned right": lambda image: np.rot90(image, -1),
    "transposed, JPEG": lambda image: jpeg(np.ascontiguousarray(image.transpose(1, 0, 2))),
}


@pytest.fixture(scope="module", params=["scenes", "cells"])
def pictures(request):
    """Generated pictures in colour, by name."""
    settings = {"scenes": scenes.Settings, "cells": cells.Settings}[request.param]
    split = registry.load(settings(train=20), Path()).splits["train"]
    return {name: np.broadcast_to(*shaped(split.read(name)[0])) for name in split.names}


def shaped(image):
    return image, (*image.shape[:2], 3)


def looks(images):
    return [look(name, image) for name, image in images.items()]


@pytest.mark.parametrize("change", CHANGES)
def test_a_picture_is_known_again_and_no_other_taken_for_it(pictures, change):
    changed = {f"{name} {change}": CHANGES[change](image) for name, image in pictures.items()}
    train, between, val = shared({"train": looks(pictures), "val": looks(changed)})
    assert (train.copies, train.near, val.copies, val.near) == ([], [], [], [])
    assert between.copies == []
    assert between.near == [(f"{name} {change}", name) for name in pictures]


def test_copies_are_equal_pixels_whatever_the_name(pictures):
    a, b, c, d = list(pictures.values())[:4]
    train = looks({"a": a, "b": b, "a again": a.copy()})
    val = looks({"c": c, "x": b.copy(), "nearly a": a ^ 1, "x again": b})
    test = looks({"c too": c, "d": d})
    assert shared({"train": train, "val": val, "test": test}) == [
        Shared("train", "train", 3, copies=[("a again", "a")]),
        Shared("val", "train", 4, copies=[("x", "b"), ("x again", "b")], near=[("nearly a", "a")]),
        Shared("val", "val", 4, copies=[("x again", "x")]),
        Shared("test", "train", 2),
        Shared("test", "val", 2, copies=[("c too", "c")]),
        Shared("test", "test", 2),
    ]


def test_pictures_of_one_colour_are_compared_with_no_other():
    flat = {f"{v}": np.full((20, 30, 3), v, np.uint8) for v in (0, 90, 90, 255)}
    flat["two channels"] = np.full((20, 30, 2), (5, 200), np.uint8)
    assert not any(
        one.copies or one.near for one in shared({"train": looks(flat), "val": looks(flat)})
    )
    dots = np.zeros((2, 40, 40, 1), np.uint8)
    dots[0, 3, 5], dots[1, 30, 17] = 255, 255
    assert shared({"train": [look(f"{i}", one) for i, one in enumerate(dots)]})[0].near == []


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_pictures_have_any_number_of_channels(pictures, channels):
    images = {
        name: np.repeat(image[..., :1], channels, axis=2).astype(np.float32)
        for name, image in pictures.items()
    }
    darker = {name: image * 0.5 - 7 for name, image in images.items()}
    darker["same"] = images["train_000"]
    found = shared({"train": looks(images), "val": looks(darker)})[1]
    assert found.copies == [("same", "train_000")]
    assert found.near == [(name, name) for name in pictures]


def test_the_nearest_is_found_among_more_than_are_compared_at_once(monkeypatch):
    """The bits are compared one by one here, and every symmetry is that of an image in numpy."""
    monkeypatch.setattr(duplicates, "_PAIRS", 50)  # so that blocks are of three
    rng = np.random.default_rng(0)
    known = rng.random((16, 16, 16)) < 0.5
    known[:, 0, 0] = False
    ours = []
    for index, flips in enumerate((0, 1, NEAR - 1, NEAR, NEAR + 1, 60, 128)):
        one = known[2 * index].copy().ravel()
        one[rng.choice(np.arange(1, 256), flips, replace=False)] ^= True
        ours.append(one.reshape(16, 16))
    train = [Look(f"{i}", rng.bytes(16), one) for i, one in enumerate(known)]
    val = [Look(f"{i}", rng.bytes(16), one) for i, one in enumerate(ours)]
    assert shared({"train": train, "val": val})[1].near == [(f"{i}", f"{2 * i}") for i in range(4)]
    both = shared({"all": [*train, *val]})[0]
    assert both.near == [(f"{i}", f"{2 * i}") for i in range(4)]
