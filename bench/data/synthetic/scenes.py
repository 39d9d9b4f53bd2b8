"""Draws labelled scenes: sky, ground, buildings, trees, cars, people, animals.

Integer arithmetic and one random generator, so that a seed gives the same bytes on any machine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bench.data.synthetic.canvas import LABELS, VOID, Canvas

_SKIES = [((60, 115, 205), (175, 205, 235)), ((140, 150, 165), (205, 208, 210)),
          ((95, 95, 155), (240, 180, 130))]  # fmt: skip
_GRASSES = [(85, 135, 50), (125, 145, 65), (150, 140, 80), (60, 115, 60)]
_LEAVES = [(40, 85, 35), (60, 100, 40), (30, 70, 50), (150, 95, 35)]
_WATERS = [(60, 105, 150), (80, 115, 120), (110, 130, 150)]
_ROADS = [(105, 105, 110), (130, 122, 115), (85, 85, 92)]
_WALLS = [(150, 85, 70), (195, 180, 150), (140, 140, 145), (215, 210, 200), (120, 105, 95)]
_PAINTS = [(190, 40, 40), (40, 70, 160), (225, 225, 225), (50, 50, 55), (205, 170, 50)]
_CLOTHES = [(185, 55, 55), (60, 80, 150), (220, 210, 190), (70, 60, 65), (190, 150, 50)]
_COATS = [(115, 75, 45), (235, 230, 220), (60, 50, 45), (165, 120, 75)]
_DARK = (35, 35, 40)


def draw_scene(
    rng: Generator, size: tuple[int, int], contents: Collection[str]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an (H, W, 3) RGB image and its (H, W) labels; ``size`` is (H, W).

    ``contents`` says which of LABELS to draw besides sky and grass. Labels are indices into
    LABELS; VOID are the borders between regions, and a few objects of no class.
    """
    canvas = Canvas(rng, size)
    for name, draw in _PAINTERS.items():
        if name in contents or name in ("sky", "grass"):
            draw(canvas)
    if rng.integers(4) == 0:
        _lamp_post(canvas)
    return _render(canvas), _void_borders(canvas.labels)


def _sky(canvas: Canvas) -> None:
    top, bottom = _SKIES[canvas.between(0, len(_SKIES) - 1)]
    depth = np.minimum(canvas.y, canvas.horizon)[..., None]
    start, end = np.asarray(top), np.asarray(bottom)
    canvas.image[:] = start + (end - start) * depth // max(1, canvas.horizon)
    clouds = np.maximum(0, canvas.noise(10, 28) + canvas.noise(5, 11) // 3 - 20)
    canvas.image += clouds[..., None] * canvas.between(0, 2) // 3
    canvas.labels[:] = LABELS.index("sky")


def _grass(canvas: Canvas) -> None:
    hill = canvas.noise(canvas.height, canvas.width // 3)[0] * canvas.between(0, 8) // 128
    blades = canvas.noise(2, 1) // 6 + canvas.noise(12, 17) // 5
    canvas.fill(canvas.y >= canvas.horizon + hill, "grass", canvas.choose(_GRASSES), blades)


def _water(canvas: Canvas) -> None:
    ground = canvas.height - canvas.horizon
    shore = canvas.horizon + canvas.between(0, ground // 2)
    bank = canvas.noise(canvas.height, canvas.width // 4)[0] // 24
    far, near = shore + bank, shore + ground * canvas.between(25, 55) // 100 - bank
    waves = canvas.noise(2, 15) // 7 + canvas.noise(9, 40) // 5
    region = (canvas.y >= far) & (canvas.y < near)
    canvas.fill(region, "water", canvas.choose(_WATERS), waves)


def _road(canvas: Canvas) -> None:
    ground = canvas.height - canvas.horizon
    tarmac = canvas.choose(_ROADS)
    grain = canvas.noise(1, 1) // 12 + canvas.noise(16, 16) // 9
    if canvas.between(0, 2):  # towards the viewer
        depth = canvas.y - canvas.horizon
        half = depth * canvas.length(35, 70) // ground
        middle = canvas.road_x + depth * canvas.between(-30, 30) // ground
        region = (depth > 0) & (abs(canvas.x - middle) <= half)
        line = (abs(canvas.x - middle) * 14 <= half) & (depth * 12 // ground % 2 == 0)
    else:  # across
        top = canvas.horizon + ground * canvas.between(20, 55) // 100
        height = canvas.length(16, 28)
        region = (canvas.y >= top) & (canvas.y < top + height)
        line = (abs(canvas.y - top - height // 2) <= 0) & (canvas.x // 9 % 2 == 0)
    canvas.fill(region, "road", tarmac, grain)
    canvas.fill(region & line, "road", (215, 212, 200))


def _building(canvas: Canvas) -> None:
    left = canvas.between(-canvas.width // 8, canvas.width // 2)
    for _ in range(canvas.between(1, 3)):
        width, height = canvas.length(22, 48), canvas.length(24, 62)
        foot = canvas.horizon + canvas.length(2, 10)
        top = foot - height
        bricks = canvas.noise(2, 4) // 10 + canvas.noise(20, 20) // 8
        wall = canvas.box(left, top, width, height)
        canvas.fill(wall, "building", canvas.choose(_WALLS), bricks)
        pitch, size = canvas.length(7, 11) + 2, canvas.length(3, 5) + 1
        rows = (canvas.y - top - 2) % pitch < size
        panes = wall & rows & ((canvas.x - left - 2) % pitch < size) & (canvas.y < foot - 2)
        glass = (60, 70, 85) if canvas.between(0, 3) else (235, 215, 140)
        canvas.fill(panes, "building", glass, canvas.noise(3, 3) // 8)
        if canvas.between(0, 1):  # a gable
            aside = abs(2 * (canvas.x - left) - width)
            rise = canvas.y - (top - width // 3)
            gable = (canvas.y < top) & (aside <= width) & (aside <= rise * 3)
            canvas.fill(gable, "building", (105, 60, 50), bricks)
        left += width + canvas.between(-6, 14)


def _tree(canvas: Canvas) -> None:
    leaves = canvas.choose(_LEAVES)
    for _ in range(canvas.between(1, 4)):
        x, height = canvas.between(0, canvas.width), canvas.length(28, 58)
        foot = canvas.horizon + canvas.length(2, 18)
        trunk = canvas.box(x - height // 24, foot - height // 2, max(2, height // 12), height // 2)
        canvas.fill(trunk, "tree", (80, 60, 45), canvas.noise(3, 1) // 9)
        crown = canvas.ellipse(x, foot - height * 2 // 3, height // 4, height // 3)
        for _ in range(5):
            aside, above = canvas.between(-height, height) // 5, canvas.between(45, 90)
            wide, high = canvas.between(10, 20), canvas.between(10, 18)
            radii = height * wide // 100, height * high // 100
            crown |= canvas.ellipse(x + aside, foot - height * above // 100, *radii)
        canvas.fill(crown, "tree", leaves, canvas.noise(2, 2) // 4 + canvas.noise(8, 8) // 5)


def _car(canvas: Canvas) -> None:
    for _ in range(canvas.between(1, 2)):
        width = canvas.length(30, 56)
        height = width * canvas.between(26, 32) // 100
        foot = canvas.between(canvas.horizon + height, canvas.height - 4)
        left = canvas.road_x + canvas.between(-canvas.width // 3, canvas.width // 3) - width // 2
        paint, shine = canvas.choose(_PAINTS), canvas.noise(4, 12) // 7
        top = foot - height - height * 3 // 4
        slope = (canvas.y - top) // 2
        cabin = canvas.box(left, top, width, height)
        cabin &= canvas.x >= left + width // 4 - slope
        cabin &= canvas.x < left + width * 3 // 4 + slope
        canvas.fill(cabin | canvas.box(left, foot - height, width, height), "car", paint, shine)
        panes = canvas.box(left, top + 2, width, height // 2) & cabin
        panes &= abs(2 * (canvas.x - left) - width) > 3
        panes &= abs(2 * (canvas.x - left) - width) < width // 2 + 2
        canvas.fill(panes, "car", (55, 70, 85))
        for wheel in (left + width // 5, left + width * 4 // 5):
            canvas.fill(canvas.ellipse(wheel, foot, height * 2 // 5, height * 2 // 5), "car", _DARK)


def _animal(canvas: Canvas) -> None:
    coat, spots = canvas.choose(_COATS), canvas.choose(_COATS)
    for _ in range(canvas.between(1, 3)):
        size = canvas.length(11, 20)
        foot = canvas.between(min(canvas.horizon + 2 * size, canvas.height - 3), canvas.height - 2)
        x, side = canvas.between(size, canvas.width - size), 2 * canvas.between(0, 1) - 1
        body = canvas.ellipse(x, foot - size, size, size * 11 // 20)
        body |= canvas.ellipse(x + side * size * 6 // 5, foot - size * 7 // 5, size // 3, size // 3)
        for leg in (-7, -4, 4, 7):
            body |= canvas.box(x + leg * size // 10 - 1, foot - size, max(2, size // 5), size)
        canvas.fill(body, "animal", coat, canvas.noise(2, 2) // 8)
        canvas.fill(body & (canvas.noise(6, 7) > 45), "animal", spots)


def _person(canvas: Canvas) -> None:
    for _ in range(canvas.between(1, 3)):
        height = canvas.length(34, 60)
        highest = min(canvas.horizon + height // 2, canvas.height - 3)
        foot = canvas.between(highest, canvas.height - 2)
        x, head = canvas.between(height // 4, canvas.width - height // 4), max(2, height // 11)
        folds = canvas.noise(3, 3) // 8
        for side in (-1, 1):
            left = x - height // 14 + side * height // 16
            leg = canvas.box(left, foot - height // 2, height // 7, height // 2)
            canvas.fill(leg, "person", canvas.choose(_CLOTHES[1:4]), folds)
        coat = canvas.ellipse(x, foot - height * 6 // 10, height // 6, height * 3 // 10)
        canvas.fill(coat, "person", canvas.choose(_CLOTHES), folds)
        face = canvas.ellipse(x, foot - height + head, head, head * 5 // 4)
        canvas.fill(face, "person", canvas.choose([(220, 175, 145), (140, 95, 70)]))


def _lamp_post(canvas: Canvas) -> None:
    foot, height = canvas.horizon + canvas.length(8, 30), canvas.length(40, 60)
    x = canvas.between(8, canvas.width - 8)
    post = canvas.box(x, foot - height, 2, height) | canvas.box(x - 4, foot - height, 10, 3)
    canvas.fill(post, "no class", (70, 72, 75))


def _render(canvas: Canvas) -> NDArray[np.uint8]:
    """Light the picture from one side, tint it, and add the grain of a sensor."""
    slope_x, slope_y = canvas.between(-25, 25), canvas.between(-15, 15)
    light = canvas.between(75, 120) + slope_x * (2 * canvas.x - canvas.width) // canvas.width
    light = light + slope_y * (2 * canvas.y - canvas.height) // canvas.height
    tint = canvas.rng.integers(-8, 9, size=3)
    strength = canvas.between(5, 14)
    grain = canvas.rng.integers(-strength, strength + 1, size=(2, *canvas.image.shape))
    lit = canvas.image * (light[..., None] + tint) // 100 + grain.sum(axis=0)
    return np.asarray(lit.clip(0, 255), dtype=np.uint8)


def _void_borders(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the labels with VOID where two regions meet, on both sides."""
    border = np.zeros(labels.shape, dtype=np.bool_)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    border[:, 1:] |= across
    border[:, :-1] |= across
    border[1:] |= down
    border[:-1] |= down
    return np.where(border, np.uint8(VOID), labels)


_PAINTERS: dict[str, Callable[[Canvas], None]] = {  # from back to front
    "sky": _sky, "grass": _grass, "water": _water, "road": _road, "building": _building,
    "tree": _tree, "car": _car, "animal": _animal, "person": _person,
}  # fmt: skip
