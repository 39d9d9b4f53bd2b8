"""Masks of a folder that are wrong in the same way are one line, with how many and the mend."""

import pickle

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.data import inspect, problems, registry
from bench.data.datasets.folder import Settings
from bench.data.files.unknown import UnknownLabels

SHAPE = (4, 5)
GROUND = np.tile(np.array([0, 0, 0, 0, 1], np.uint8), (4, 1))  # 4 of 20 pixels are 1
PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def lines(tmp_path, classes, masks, shape=SHAPE):
    """Return what a check says of masks for training, by name; the one for validation is right."""
    image = PHOTOGRAPH[: shape[0], : shape[1]]
    for kind in ("images", "masks"):
        for split in ("train", "val"):
            (tmp_path / kind / split).mkdir(parents=True)
    for name, mask in masks.items():
        cv2.imwrite(str(tmp_path / f"images/train/{name}.png"), image)
        array = mask[..., ::-1] if isinstance(mask, np.ndarray) and mask.ndim == 3 else mask
        if isinstance(mask, np.ndarray):
            cv2.imwrite(str(tmp_path / f"masks/train/{name}.png"), array)
        else:
            mask.save(tmp_path / f"masks/train/{name}.png")
    cv2.imwrite(str(tmp_path / "images/val/v.png"), image)
    cv2.imwrite(str(tmp_path / "masks/val/v.png"), np.zeros(shape, np.uint8))
    (tmp_path / "classes.yaml").write_text(classes)
    found = inspect.check(registry.load(Settings(path=str(tmp_path)), tmp_path))
    errors = [error for split in found.values() for error in split.problems]
    said = problems.grouped(errors, sum(split.images for split in found.values()))
    return [line.replace(f"{tmp_path}/masks/train/", "") for line in said]


NAMES = "names: [ground, line]"
TURNED = GROUND.T.copy()
TABLE = Image.fromarray(GROUND * 7, "P")
TABLE.putpalette([0, 0, 0] + 6 * [9, 9, 9] + [200, 10, 10])

# fmt: off
SAME = {
    "binary": (NAMES, GROUND * 255, "2 of 3 masks (first a.png and b.png): value 255 in 20.00% of their pixels is no class; if masks are 0 and 255, write `names: {0: background, 255: object}`; `ignore: [255]` if 255 is void"),
    "void": (NAMES, np.where(GROUND > 0, 255, np.arange(5) % 2).astype(np.uint8), "2 of 3 masks (first a.png and b.png): value 255 in 20.00% of their pixels is no class; `ignore: [255]` in classes.yaml if it is void, else give it a name: `{255: …}`"),
    "a class too few": (NAMES, GROUND * 2, "2 of 3 masks (first a.png and b.png): value 2 in 20.00% of their pixels is no class; give it a name, as in `names: {0: …, 7: …}`, or add it to `ignore` if it is void"),
    "a photograph for a mask": (NAMES, PHOTOGRAPH, "2 of 3 pairs have the same problem (first a.png and b.png): has colours (mode RGB); labels need a single channel; it has 256 colours, as a photograph: are images and masks swapped?"),
    "colours for values": (NAMES, np.stack(3 * [GROUND], -1), "2 of 3 pairs have the same problem (first a.png and b.png): has colours (mode RGB); labels need a single channel; `masks: palette` with `colours` reads its 2 colours"),
    "turned": (NAMES, TURNED, "2 of 3 pairs have the same problem (first a.png and b.png): 5x4 pixels, its image has 4x5; one of them is turned on its side"),
    "resized": (NAMES, np.zeros((8, 10), np.uint8), "2 of 3 pairs have the same problem (first a.png and b.png): 8x10 pixels, its image has 4x5; one of them was resized: resize masks without interpolation"),
    "a colour table": (NAMES, TABLE, "2 of 3 masks (first a.png and b.png): value 7 in 20.00% of their pixels is no class; values are places in the mask's table of colours, which `masks: palette` reads"),
    "an unknown colour": ("names: [x]\nmasks: palette\ncolours: [[0, 0, 0]]", np.stack([GROUND * 9, GROUND, GROUND], -1), "2 of 3 masks (first a.png and b.png): colour (9, 1, 1) in 20.00% of their pixels is no class; add it to `names` and `colours`, or to `ignore` if it is void"),
}
# fmt: on


@pytest.mark.parametrize("kind", SAME)
def test_masks_that_are_wrong_in_the_same_way_are_one_line(kind, tmp_path):
    classes, mask, expected = SAME[kind]
    shape = mask.shape[:2] if mask is PHOTOGRAPH else SHAPE
    assert lines(tmp_path, classes, {"a": mask, "b": mask}, shape) == [expected]


def test_different_causes_are_different_lines_the_most_frequent_first(tmp_path):
    masks = {"a": GROUND * 9, "b": TURNED, "c": np.zeros((3, 3), np.uint8), "d": GROUND * 7}
    masks |= {"e": GROUND, "f": GROUND * 7}
    said = lines(tmp_path, NAMES, masks)
    labels, turned, other = said
    assert labels.startswith(
        "3 of 7 masks (first a.png and d.png): values 7 in 13.33% of their pixels (2 masks), "
        "9 in 6.67% of their pixels (1 mask) are no class; "
    )
    assert turned.startswith("b.png: 5x4 pixels")
    assert other == "c.png: 3x3 pixels, its image has 4x5"


def test_an_error_is_whole_when_a_loader_process_passes_it_on():
    error = UnknownLabels.of("a.png", {0: 3, 255: 1}, frozenset({255}))
    assert str(type(error)(str(error))) == str(error)  # as torch raises it again
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.unknown) == (str(error), {255})
