import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.files import palette
from bench.errors import UserError

COLOURS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (0, 0, 128), (255, 254, 253), (128, 64, 192)]
LABELS = [255, 0, 1, 2, 3, 2]


def slowly(coloured, colours, labels):
    """The definition: one colour after the other."""
    out = np.full(coloured.shape[:2], palette.UNKNOWN, dtype=np.uint8)
    for colour, label in zip(colours, labels, strict=True):
        out[(coloured == colour).all(axis=-1)] = label
    return out


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
def test_labels_are_those_of_the_loop_over_colours(seed, height, width):
    rng = np.random.default_rng(seed)
    coloured = np.array(COLOURS, dtype=np.uint8)[rng.integers(0, len(COLOURS), (height, width))]
    found = palette.to_labels(coloured, TABLE, source="x")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, slowly(coloured, COLOURS, LABELS))


TABLE = palette.lookup_table(COLOURS, LABELS)


def test_colours_that_share_bytes_are_told_apart():
    permuted = [(1, 2, 3), (3, 2, 1), (2, 1, 3), (2, 3, 1), (1, 3, 2), (3, 1, 2)]
    table = palette.lookup_table(permuted, range(6))
    mask = np.array([permuted], dtype=np.uint8)
    np.testing.assert_array_equal(palette.to_labels(mask, table, source="x"), [[0, 1, 2, 3, 4, 5]])


def test_a_mask_that_is_a_view_is_read_as_it_looks():
    coloured = np.array(COLOURS, dtype=np.uint8)[np.arange(24).reshape(4, 6) % len(COLOURS)]
    for view in (coloured[::-1], coloured[:, ::2], coloured.transpose(1, 0, 2)):
        found = palette.to_labels(view, TABLE, source="x")
        np.testing.assert_array_equal(found, slowly(view, COLOURS, LABELS))


def test_unknown_colours_are_named_and_counted_the_most_frequent_first():
    mask = np.zeros((5, 5, 3), dtype=np.uint8)
    mask[0, :4] = (1, 2, 3)
    mask[1, 0] = (9, 9, 9)
    with pytest.raises(UserError) as error:
        palette.to_labels(mask, TABLE, source="masks/a.png")
    expected = "masks/a.png: 2 unknown colours: (1, 2, 3) in 4 pixels, (9, 9, 9) in 1 pixel"
    assert str(error.value) == expected


def test_many_unknown_colours_make_no_long_message():
    mask = np.arange(3 * 256, dtype=np.uint16).reshape(1, 256, 3).astype(np.uint8) | 1
    with pytest.raises(UserError, match=r"and \d+ more$") as error:
        palette.to_labels(mask, TABLE, source="x")
    assert len(str(error.value)) < 200


def test_values_go_through_a_table_too():
    table = palette.lookup_table([7, 0, 255], [0, 1, 255])
    mask = np.array([[7, 0], [255, 7]], dtype=np.uint8)
    np.testing.assert_array_equal(palette.to_labels(mask, table, source="x"), [[0, 1], [255, 0]])
    with pytest.raises(UserError, match=r"^m\.png: unknown value 9 in 2 pixels$"):
        palette.to_labels(np.array([[9, 7, 9]], dtype=np.uint8), table, source="m.png")


def test_colours_and_labels_are_each_others_inverse():
    colours = np.array(COLOURS[1:5], dtype=np.uint8)
    labels = np.array([[0, 1, 2], [3, 255, 0]], dtype=np.uint8)
    coloured = palette.to_colours(labels, colours)
    assert coloured.dtype == np.uint8
    assert tuple(coloured[1, 1]) == (0, 0, 0)
    np.testing.assert_array_equal(palette.to_labels(coloured, TABLE, source="x"), labels)
    assert tuple(palette.to_colours(labels, colours, void=(9, 8, 7))[1, 1]) == (9, 8, 7)


def test_a_palette_that_contradicts_itself_is_misuse():
    with pytest.raises(ValueError, match="twice"):
        palette.lookup_table([(1, 1, 1), (1, 1, 1)], [0, 1])
    with pytest.raises(ValueError, match="reserved"):
        palette.lookup_table([(1, 1, 1)], [palette.UNKNOWN])


def test_made_up_colours_are_distinct():
    colours = palette.distinct_colours(150)
    assert len(set(colours)) == 150
    assert all(0 <= value <= 255 for colour in colours for value in colour)
    first = np.array(colours[:12], dtype=int)
    distances = abs(first[:, None] - first[None]).sum(-1) + 999 * np.eye(12, dtype=int)
    assert distances.min() > 40
