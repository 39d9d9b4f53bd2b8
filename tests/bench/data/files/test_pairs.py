import pytest

from bench.data.files.pairs import find_pairs
from bench.errors import UserError


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def by_split(folder):
    return {
        split: {
            name: tuple(file.relative_to(folder).as_posix() for file in files)
            for name, files in pairs.items()
        }
        for split, pairs in find_pairs(folder).items()
    }


def test_subfolders_are_splits(tmp_path):
    touch(tmp_path, "images/train/b.jpg", "images/train/sub/a.PNG", "images/val/b.jpg")
    touch(tmp_path, "masks/train/b.png", "masks/train/sub/a.bmp", "masks/val/b.tif")
    touch(tmp_path, "images/train/._b.jpg", "images/train/Thumbs.db", "masks/readme.txt")
    assert by_split(tmp_path) == {
        "train": {
            "train/b.jpg": ("images/train/b.jpg", "masks/train/b.png"),
            "train/sub/a.PNG": ("images/train/sub/a.PNG", "masks/train/sub/a.bmp"),
        },
        "val": {"val/b.jpg": ("images/val/b.jpg", "masks/val/b.tif")},
    }


def test_lists_are_splits_and_come_before_subfolders(tmp_path):
    touch(tmp_path, *(f"{kind}/{name}.png" for kind in ("images", "masks") for name in "abcd"))
    (tmp_path / "train.txt").write_text("c.png\n\n  a\r\n")
    (tmp_path / "val.txt").write_text("b")
    touch(tmp_path, "images/test/x.png", "masks/test/x.png")
    found = by_split(tmp_path)
    assert {split: list(pairs) for split, pairs in found.items()} == {
        "train": ["c.png", "a.png"],
        "val": ["b.png"],
    }
    assert found["val"]["b.png"] == ("images/b.png", "masks/b.png")


def lists(train="a\n", val="b\n", **others):
    def write(folder):
        touch(folder, *(f"{kind}/{name}.png" for kind in ("images", "masks") for name in "abc"))
        for split, text in {"train": train, "val": val, **others}.items():
            if text is not None:
                (folder / f"{split}.txt").write_bytes(text.encode("utf-8", "surrogateescape"))

    return write


def files(*paths):
    return lambda folder: touch(folder, *paths)


# fmt: off
WRONG = {
    "nothing": (files(), r"images: no such folder"),
    "no masks folder": (files("images/train/a.png"), r"masks: no such folder"),
    "no splits": (files("images/a.png", "masks/a.png"), r"no images in images/train/, and none listed in train\.txt"),
    "no val": (files("images/train/a.png", "masks/train/a.png"), r"no images in images/val/"),
    "no val list": (lists(val=None), r"listed in val\.txt"),
    "an empty list": (lists(train="\n"), r"listed in train\.txt"),
    "a missing mask": (files("images/train/a.png", "images/val/b.png", "masks/val/b.png"), r"masks: 1 of 1 masks of the train split are missing: train/a \("),
    "many missing masks": (files(*(f"images/train/{i}.png" for i in range(9)), "images/val/b.png", "masks/train/0.png"), r"8 of 9 masks .*: train/1, train/2, train/3 and 5 more"),
    "a lossy mask": (files("images/train/a.png", "images/val/b.png", "masks/val/b.png", "masks/train/a.jpg"), r"missing: train/a \(.*\.png"),
    "two masks": (files("images/train/a.png", "masks/train/a.png", "masks/train/a.bmp"), r"a\.png: has the same name as a\.bmp"),
    "two images": (files("images/train/a.png", "images/train/a.jpg", "masks/train/a.bmp"), r"a\.png: has the same name as a\.jpg"),
    "a name that is not there": (lists(train="a\nbb.png"), r"train\.txt, line 2: no image 'bb\.png'; did you mean 'b\.png'"),
    "a name that leads out": (lists(train="../../etc/passwd"), r"train\.txt, line 1: no image"),
    "an absolute name": (lists(train="/etc/passwd"), r"train\.txt, line 1: no image"),
    "a name twice": (lists(train="a\na.png"), r"train\.txt, line 2: 'a\.png' is in train\.txt already"),
    "a name in two splits": (lists(test="c\na"), r"test\.txt, line 2: 'a' is in train\.txt already"),
    "a list that is no text": (lists(train="\udcff\udcfe"), r"train\.txt: cannot be read"),
}
# fmt: on


@pytest.mark.parametrize("kind", WRONG)
def test_an_ambiguous_folder_is_refused(kind, tmp_path):
    make, message = WRONG[kind]
    make(tmp_path)
    with pytest.raises(UserError, match=message) as error:
        find_pairs(tmp_path)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)
