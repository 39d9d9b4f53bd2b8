import shutil

import numpy as np
import pytest

from bench.data import inspect, registry
from bench.data.dataset import Dataset, Split
from bench.data.datasets import msrc_v2
from bench.errors import UserError

A = np.array([[0, 0, 1], [255, 255, 1]], dtype=np.uint8)
B = np.array([[1, 1, 1, 1]], dtype=np.uint8)
VOID = np.full((2, 3), 255, dtype=np.uint8)


def by_hand(masks):
    """A dataset of masks under given names; a text in place of a mask is an error."""

    def read(name):
        if isinstance(masks[name], str):
            raise UserError(masks[name])
        return np.full((*masks[name].shape, 3), 99, np.uint8), masks[name].copy()

    palette = np.array([[200, 0, 0], [0, 128, 0], [0, 0, 255]], np.uint8)
    split = Split(tuple(masks), read)
    return Dataset("hand", ("x", "y", "z"), palette, 3, {"train": split, "val": split}, "f0")


def test_a_check_counts_pixels_and_images():
    report = inspect.check(by_hand({"a": A, "b": B, "c": A, "d": VOID, "e": "e.png: broken"}))
    assert list(report) == ["train", "val"]
    split = report["val"]
    assert split.images == 5
    assert split.sizes == {(2, 3): 3, (1, 4): 1}
    assert split.pixels[:3].tolist() == [4, 8, 0]
    assert split.images_with[:3].tolist() == [2, 3, 0]
    assert split.shares[:3].tolist() == [4 / 12, 8 / 12, 0]
    assert split.pixels[255] == 10
    assert split.void_share == 10 / 22
    assert list(map(str, split.problems)) == ["e.png: broken"]


def test_a_check_of_void_alone_gives_shares_of_zero():
    split = inspect.check(by_hand({"a": VOID, "b": "broken"}))["train"]
    assert split.shares[:3].tolist() == [0, 0, 0]
    assert split.void_share == 1
    assert inspect.check(by_hand({"b": "broken"}))["train"].void_share == 0


def test_a_check_names_every_file_that_is_wrong(made_up_data, tmp_path):
    shutil.copytree(made_up_data, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / msrc_v2.FOLDER
    first, second, *_ = msrc_v2.split_names("val")
    (folder / "Images" / first).write_bytes(b"BM")
    shutil.copy(folder / "Images" / second, msrc_v2._mask_file(folder, second))
    report = inspect.check(registry.load(msrc_v2.Settings(), tmp_path))["val"]
    problems = list(map(str, report.problems))
    assert len(problems) == 2
    assert f"Images/{first}: " in problems[0]
    assert "_GT.bmp: 24 unknown colours: " in problems[1]


def test_the_list_says_what_is_ready(made_up_data, tmp_path):
    ready = {entry.name: entry for entry in inspect.listing(made_up_data)}
    assert tuple(ready) == registry.names()
    assert [name for name, entry in ready.items() if entry.problem] == ["folder"]
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
        ("isbi2012", {"folde": 1}, "isbi2012: unknown key 'folde'; did you mean 'fold"),
        ("isbi2012", {"fold": "x"}, "isbi2012: fold: .*integer"),
        ("isbi2012", {"fold": 9}, "isbi2012: fold 9 of 5"),
        ("folder", {}, "folder: path: is missing"),
    ],
)
def test_wrong_settings_are_explained(name, values, message):
    with pytest.raises(UserError, match=message) as error:
        inspect.settings_for(name, values)
    assert "\n" not in str(error.value)


def test_settings_are_those_of_the_dataset():
    assert inspect.settings_for("msrc_v2", {"void": "class"}) == msrc_v2.Settings(void="class")


def test_a_dataset_without_files_is_not_installed(tmp_path):
    with pytest.raises(UserError, match="scenes: nothing to install"):
        inspect.install("scenes", tmp_path)


def test_a_data_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: msrc_v2 cannot be installed"):
        inspect.install("msrc_v2", tmp_path / "file", [tmp_path / "archive.zip"])
