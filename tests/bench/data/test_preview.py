import numpy as np
import pytest
from matplotlib.colors import to_hex

from bench.data.dataset import Dataset, Split
from bench.data.preview import preview
from bench.errors import UserError

A = np.array([[0, 0, 1], [255, 255, 1]], dtype=np.uint8)


def by_hand(masks, channels=3, classes=("x", "$y$", "_z"), black=False):
    """A dataset of masks under given names."""

    def read(name):
        return np.full((*masks[name].shape, channels), 99, np.uint8), masks[name].copy()

    palette = np.array([[0, 0, 0] if black else [200, 0, 0], [0, 128, 0], [0, 0, 255]], np.uint8)
    split = Split(tuple(masks), read)
    return Dataset("hand", classes, palette, channels, {"train": split, "val": split}, "f0")


def legend_of(figure):
    (legend,) = figure.legends
    return dict(
        zip(
            [text.get_text() for text in legend.get_texts()],
            [to_hex(patch.get_facecolor()) for patch in legend.get_patches()],
            strict=True,
        )
    )


def pictures(figure):
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 9])
def test_a_preview_shows_images_with_their_labels(count, tmp_path):
    names = ["$a$", "b_c", "<d>", "{e}", "%f", "^g", "\\h", "i"]
    masks = {name: np.full((4, 5 + place), place % 2, np.uint8) for place, name in enumerate(names)}
    dataset = by_hand(masks)
    figure = preview(dataset, "train", count=count, seed=3)
    shown = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(shown) == len(set(shown)) == min(count, len(names))
    assert len(pictures(figure)) == 2 * len(shown)
    figure.savefig(tmp_path / "preview.png")
    for name in shown:
        (axes,) = [axes for axes in figure.axes if axes.get_title() == name]
        assert axes.images[0].get_array().shape == (*masks[name].shape, 3)


def test_the_legend_names_what_occurs_in_the_colours_it_is_drawn_in(tmp_path):
    figure = preview(by_hand({"a": A}))
    expected = {"x": "#c80000", "$y$": "#008000", "void, not counted": "#000000"}
    assert legend_of(figure) == expected
    coloured = pictures(figure)[1]
    assert to_hex(coloured[0, 0] / 255) == expected["x"]
    assert to_hex(coloured[0, 2] / 255) == expected["$y$"]
    assert to_hex(coloured[1, 0] / 255) == expected["void, not counted"]
    figure.savefig(tmp_path / "preview.png")


def test_void_never_has_the_colour_of_a_class():
    assert legend_of(preview(by_hand({"a": A}, black=True))) == {
        "x": "#000000",
        "$y$": "#008000",
        "void, not counted": "#ffffff",
    }


def test_grey_images_are_shown_on_the_full_scale():
    image = preview(by_hand({"a": A}, channels=1)).axes[0].images[0]
    assert image.get_array().shape == (2, 3)
    assert image.get_clim() == (0, 255)


def test_the_seed_decides_which_images():
    dataset = by_hand({f"{i}": A for i in range(50)})

    def titles(seed):
        return [axes.get_title() for axes in preview(dataset, count=4, seed=seed).axes]

    assert titles(1) == titles(1) != titles(2)


def test_an_unknown_split_is_named():
    with pytest.raises(UserError, match="hand: no split 'trian'; did you mean 'train'"):
        preview(by_hand({"a": A}), "trian")
