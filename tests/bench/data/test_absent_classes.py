import numpy as np

from bench.data import absent_classes
from bench.data.inspect import SplitReport

CLASSES = ("sky", "road", "car", "pole")


def report(*pixels, void=0):
    """Return the report of a split with so many pixels of each class."""
    counts = np.zeros(256, np.int64)
    counts[: len(pixels)] = pixels
    counts[255] = void
    return SplitReport(3, pixels=counts)


def test_what_is_absent_from_a_split_is_named():
    found = {"train": report(5, 1, 0, 0), "val": report(5, 0, 3, 0), "test": report(1, 1, 1, 0)}
    assert absent_classes.remarks(found, CLASSES) == [
        "no mask has a pixel of pole; are values and names right?",
        "train has no pixel of car: of that, nothing can be learned",
        "val has no pixel of road: a mean over classes is of 2 of 4, and of what is predicted by mistake",
    ]


def test_where_nothing_is_absent_nothing_is_said():
    assert (
        absent_classes.remarks({"train": report(1, 1, 1, 1), "val": report(9, 9, 9, 9)}, CLASSES)
        == []
    )


def test_a_split_of_one_class_or_of_none_is_refused():
    assert absent_classes.refusal("val", report(1, 1), CLASSES) is None
    one = absent_classes.refusal("val", report(0, 7, void=2), CLASSES)
    assert one.startswith(
        "every pixel of the val split is road or void: who answers road everywhere"
    )
    assert absent_classes.refusal("val", report(0, 7), CLASSES).startswith(
        "every pixel of the val split is road: "
    )
    none = absent_classes.refusal("val", report(void=2), CLASSES)
    assert none.startswith("every pixel of the val split is void")
