import shutil

import numpy as np
import pytest
from matplotlib.colors import to_hex

from bench.data import inspect, registry
from bench.data.dataset import Dataset, Split
from bench.data.datasets import msrc_v2
from bench.errors import UserError

A = np.array([[0, 0, 1], [255, 255, 1]], dtype=np.uint8)
B = np.array([[1, 1, 1, 1]], dtype=np.uint8)
VOID = np.full((2, 3), 255, dtype=np.uint8)


def by_hand(masks, channels=3, classes=("x", "$y$", "_z"), black=False):
    """A dataset of masks under given names; a text in place of a mask is an error."""

    def read(name):
        if isinstance(masks[name], str):
            raise UserError(masks[name])
        return np.full((*masks[name].shape, channels), 99, np.uint8), masks[name].copy()

    palette = np.array([[0, 0, 0] if black else [200, 0, 0], [0, 128, 0], [0, 0, 255]], np.uint8)
    split = Split(tuple(masks), read)
    return Dataset("hand", classes, palette, channels, {"train": split, "val": split}, "f0")


def test_a_check_counts_pixels_and_images():
    report = inspect.check(by_hand({"a": A, "b": B, "c": A, "d": VOID, "e": "e.png: broken"}))
    split = report.splits["val"]
    assert split.images == 5
    assert split.sizes == {(2, 3): 3, (1, 4): 1}
    assert next(iter(split.sizes)) == (2, 3)
    assert split.pixels == (4, 8, 0)
    assert split.images_with == (2, 3, 0)
    assert split.shares == (4 / 12, 8 / 12, 0)
    assert split.void_pixels == 10
    assert split.void_share == 10 / 22
    assert split.all_void == ("d",)
    assert split.problems == ("e.png: broken",)
    assert report.problems == ("e.png: broken", "e.png: broken")
    assert (report.name, report.classes, report.fingerprint) == ("hand", ("x", "$y$", "_z"), "f0")


def test_a_check_of_nothing_that_counts_divides_by_nothing():
    split = inspect.check(by_hand({"a": "broken"})).splits["train"]
    assert split.shares == (0, 0, 0)
    assert split.void_share == 0


def test_a_check_names_every_file_that_is_wrong(made_up_data, tmp_path):
    shutil.copytree(made_up_data, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / msrc_v2.FOLDER
    first, second, *_ = msrc_v2.split_names("val")
    (folder / "Images" / first).write_bytes(b"BM")
    shutil.copy(folder / "Images" / second, msrc_v2._mask_file(folder, second))
    problems = inspect.check(registry.load(msrc_v2.Settings(), tmp_path)).problems
    assert len(problems) == 2
    assert f"Images/{first}: " in problems[0]
    assert "_GT.bmp: 24 unknown colours: " in problems[1]


def test_the_list_says_what_is_ready(made_up_data, tmp_path):
    ready = {entry.name: entry for entry in inspect.listing(made_up_data)}
    assert tuple(ready) == registry.names()
    assert [name for name, entry in ready.items() if entry.problem] == ["folder"]
    assert [name for name, entry in ready.items() if entry.can_install] == ["msrc_v2"]
    assert all(entry.about.endswith(".") for entry in ready.values())
    bare = {entry.name: entry.problem for entry in inspect.listing(tmp_path)}
    assert bare["scenes"] is None
    assert "bench data install msrc_v2" in bare["msrc_v2"]
    assert "train-volume.tif" in bare["isbi2012"]
    assert "path" in bare["folder"]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("isbi", {}, "unknown dataset 'isbi'; did you mean 'isbi2012'"),
        ("isbi2012", {"folde": 1}, "isbi2012: unknown setting 'folde'; did you mean 'fold"),
        ("isbi2012", {"fold": "x"}, "isbi2012: fold: .*integer"),
        ("isbi2012", {"fold": 9}, "isbi2012: fold 9 of 5"),
        ("folder", {}, "folder: path: Field required"),
    ],
)
def test_wrong_settings_are_explained(name, values, message):
    with pytest.raises(UserError, match=message) as error:
        inspect.settings_for(name, values)
    assert "\n" not in str(error.value)


def test_settings_are_those_of_the_dataset():
    assert inspect.settings_for("msrc_v2", {"void": "class"}) == msrc_v2.Settings(void="class")


def test_what_needs_no_installing_says_so(tmp_path):
    with pytest.raises(UserError, match="scenes: nothing to install"):
        inspect.install("scenes", tmp_path)


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: msrc_v2 cannot be installed"):
        inspect.install("msrc_v2", tmp_path / "file", [tmp_path / "archive.zip"])


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
    figure = inspect.preview(dataset, "train", count=count, seed=3)
    shown = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(shown) == len(set(shown)) == min(count, len(names))
    assert len(pictures(figure)) == 2 * len(shown)
    figure.savefig(tmp_path / "preview.png")
    for name in shown:
        (axes,) = [axes for axes in figure.axes if axes.get_title() == name]
        assert axes.images[0].get_array().shape == (*masks[name].shape, 3)


def test_the_legend_names_what_occurs_in_the_colours_it_is_drawn_in(tmp_path):
    figure = inspect.preview(by_hand({"a": A}))
    expected = {"x": "#c80000", "$y$": "#008000", "void, not counted": "#000000"}
    assert legend_of(figure) == expected
    coloured = pictures(figure)[1]
    assert to_hex(coloured[0, 0] / 255) == expected["x"]
    assert to_hex(coloured[0, 2] / 255) == expected["$y$"]
    assert to_hex(coloured[1, 0] / 255) == expected["void, not counted"]
    figure.savefig(tmp_path / "preview.png")


def test_void_never_has_the_colour_of_a_class():
    assert legend_of(inspect.preview(by_hand({"a": A}, black=True))) == {
        "x": "#000000",
        "$y$": "#008000",
        "void, not counted": "#ffffff",
    }


def test_grey_images_are_shown_on_the_full_scale():
    image = inspect.preview(by_hand({"a": A}, channels=1)).axes[0].images[0]
    assert image.get_array().shape == (2, 3)
    assert image.get_clim() == (0, 255)


def test_the_seed_decides_which_images():
    dataset = by_hand({f"{i}": A for i in range(50)})

    def titles(seed):
        return [axes.get_title() for axes in inspect.preview(dataset, count=4, seed=seed).axes]

    assert titles(1) == titles(1) != titles(2)


def test_a_split_that_is_not_there_is_named():
    with pytest.raises(UserError, match="hand: no split 'trian'; did you mean 'train'"):
        inspect.preview(by_hand({"a": A}), "trian")
