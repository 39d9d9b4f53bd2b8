"""What is proposed for made-up folders, and that it can be read as it was written."""

import numpy as np
import pytest
from PIL import Image

from bench.data import inspect, registry
from bench.data.datasets.folder import Settings
from bench.data.proposal.proposal import propose
from bench.errors import UserError

PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
COLOURS = np.array([(0, 0, 0), (128, 64, 128), (64, 0, 128), (192, 192, 0)], np.uint8)


def blocks(count, void=None):
    """Return squares of 10 pixels with values 0 to count - 1, in turn; void lies between them."""
    rows, columns = np.mgrid[:40, :40]
    mask = ((rows // 10 * 4 + columns // 10) % count).astype(np.uint8)
    if void is not None:
        mask[(rows % 10 == 0) | (columns % 10 == 0)] = void
    return mask


def proposed(folder, mask, val=None, files=()):
    for split, labels in {"train": mask, "val": mask if val is None else val}.items():
        for kind, array in (("images", PHOTOGRAPH), ("masks", labels)):
            (folder / kind / split).mkdir(parents=True)
            Image.fromarray(array).save(folder / kind / split / "a.png")
    for name, text in dict(files).items():
        (folder / name).write_text(text)
    found = propose(folder)
    (folder / "classes.yaml").write_text(found.text)
    dataset = registry.load(Settings(path=str(folder)), folder)
    assert not [error for one in inspect.check(dataset).values() for error in one.problems]
    return found, dataset, dataset.splits["train"].read("train/a.png")[1]


def test_values_are_classes_with_names_to_be_given(tmp_path):
    found, dataset, labels = proposed(tmp_path, blocks(4))
    assert dataset.classes == ("class_0", "class_1", "class_2", "class_3")
    assert "  2: class_2  # 25.00% of the pixels, in 2 masks\n" in found.text
    assert found.lines == ("images with masks: 1 train, 1 val",)
    np.testing.assert_array_equal(labels, blocks(4))


def test_a_value_that_lies_between_all_others_is_suspected_to_be_void(tmp_path):
    found, dataset, labels = proposed(tmp_path, blocks(11, void=11))
    assert len(dataset.classes) == 11
    assert (
        "ignore:\n  - 11  # suspected to be void: 11 lies along the borders of nearly all"
        in found.text
    )
    np.testing.assert_array_equal(labels, blocks(11, void=255))


def test_255_is_suspected_to_be_void_beside_other_values(tmp_path):
    found, dataset, labels = proposed(tmp_path, blocks(3, void=255))
    assert dataset.classes == ("class_0", "class_1", "class_2")
    assert (
        "  - 255  # suspected to be void: 255 is the usual value of void; 19.00% of" in found.text
    )
    np.testing.assert_array_equal(labels, blocks(3, void=255))


@pytest.mark.parametrize("values", [(0, 1), (0, 255)])
def test_two_values_are_background_and_object(tmp_path, values):
    mask = np.array(values, np.uint8)[blocks(2)]
    found, dataset, labels = proposed(tmp_path, mask)
    assert dataset.classes == ("background", "object")
    assert "ignore" not in found.text
    np.testing.assert_array_equal(labels, blocks(2))


def test_gaps_between_values_stay(tmp_path):
    _, dataset, labels = proposed(tmp_path, np.array([7, 26], np.uint8)[blocks(2)])
    assert dataset.classes == ("class_7", "class_26")
    np.testing.assert_array_equal(labels, blocks(2))


def test_colours_are_classes_named_by_a_table_beside_them(tmp_path):
    table = "name,r,g,b\nRoad, 128, 64, 128\nCar,64,0,128\nVoid,0,0,0\nno: 1,192,192,0\n"
    found, dataset, labels = proposed(tmp_path, COLOURS[blocks(4)], files={"class_dict.csv": table})
    assert dataset.classes == ("Car", "Road", "no: 1")
    np.testing.assert_array_equal(dataset.palette, [(64, 0, 128), (128, 64, 128), (192, 192, 0)])
    assert "  - [0, 0, 0]  # suspected to be void: class_dict.csv calls it Void" in found.text
    np.testing.assert_array_equal(labels, np.array([255, 1, 0, 2], np.uint8)[blocks(4)])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.txt", "sky\nroad\n\n car \n"),
        ("labels.txt", "0: sky\n1: road\n2: car"),
        ("codes.txt", "# of the masks\n2 car\n1 road\n0 sky\n"),
    ],
)
def test_names_of_values_are_in_order_or_numbered(tmp_path, name, text):
    found, dataset, _ = proposed(tmp_path, blocks(3), files={name: text})
    assert dataset.classes == ("sky", "road", "car")
    assert f"names are from {name}" in found.lines


def test_names_that_do_not_fit_are_not_used(tmp_path):
    table = "\n".join(f"{i} 2 3\tname {i}" for i in range(32))
    found, dataset, _ = proposed(tmp_path, blocks(3), files={"label_colors.txt": table})
    assert dataset.classes == ("class_0", "class_1", "class_2")
    assert (
        "label_colors.txt has 32 names, which do not fit what masks hold: not used" in found.lines
    )


def test_rare_and_absent_classes_are_named(tmp_path):
    mask = blocks(3)
    mask[0, 0] = 3
    val = np.minimum(mask, 1)
    found, _, _ = proposed(tmp_path, mask, val)
    assert found.lines[1:] == (
        "of less than 0.1% of the pixels: class_3",
        "in no mask of val: class_2, class_3",
    )


def test_photographs_for_masks_are_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"masks/train/a\.png: has 1600 colours, as a photograph: is it a mask"
    ):
        proposed(tmp_path, PHOTOGRAPH)
