import pytest

from bench.data.files.layout import Layout, find_pairs
from bench.errors import UserError
from bench.settings import validate


def touch(folder, *paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def by_split(folder, **layout):
    return {
        split: {
            name: tuple(file.relative_to(folder).as_posix() for file in files)
            for name, files in pairs.items()
        }
        for split, pairs in find_pairs(folder, Layout(**layout)).items()
    }


def files_of(folder, **layout):
    """Return by split the files of each pair, as "image mask"."""
    found = by_split(folder, **layout)
    return {split: [" ".join(files) for files in pairs.values()] for split, pairs in found.items()}


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


CITIES = {
    "images": "left/{split}/*/*_left.png",
    "masks": "fine/{split}/*/*_fine_ids.png",
}


def test_a_pattern_that_fits_nothing_is_named_with_what_is_there(tmp_path):
    touch(tmp_path, "i/train/a.jpg", "m/train/a.png", "i/val/a.jpg", "m/val/a.png", "train.txt")
    layout = Layout(images="i/{split}/*.png", masks="m/{split}/*.png")
    with pytest.raises(UserError, match=r"no file fits i/train/\*\.png; there is a\.jpg$"):
        find_pairs(tmp_path, layout)


def test_what_stars_stand_for_pairs_images_and_masks(tmp_path):
    touch(tmp_path, "left/train/x/x_1_left.png", "left/train/y/x_1_left.png", "left/train/n.png")
    touch(tmp_path, "left/val/x/x_2_left.PNG", "left/val/x/x_2_right.png", "left/val/x/.x_left.png")
    touch(tmp_path, "fine/train/x/x_1_fine_ids.png", "fine/train/y/x_1_fine_ids.PNG")
    touch(tmp_path, "fine/val/x/x_2_fine_ids.png", "fine/val/x/x_2_fine_colour.png")
    assert by_split(tmp_path, **CITIES) == {
        "train": {
            "train/x/x_1_left.png": ("left/train/x/x_1_left.png", "fine/train/x/x_1_fine_ids.png"),
            "train/y/x_1_left.png": ("left/train/y/x_1_left.png", "fine/train/y/x_1_fine_ids.PNG"),
        },
        "val": {"val/x/x_2_left.PNG": ("left/val/x/x_2_left.PNG", "fine/val/x/x_2_fine_ids.png")},
    }


def test_splits_may_have_other_names_and_masks_lie_beside_images(tmp_path):
    for split in ("training", "validation"):
        touch(
            tmp_path,
            f"{split}/a.jpg",
            f"{split}/a_mask.tif",
            f"{split}/b.tif",
            f"{split}/b_mask.png",
        )
    touch(tmp_path, "test/a.jpg")
    found = files_of(
        tmp_path,
        images="{split}/*.*",
        masks="{split}/*_mask.*",
        splits={"train": "training", "val": "validation", "test": "neither"},
    )
    assert found == {
        split: [f"{s}/a.jpg {s}/a_mask.tif", f"{s}/b.tif {s}/b_mask.png"]
        for split, s in (("train", "training"), ("val", "validation"))
    }


def test_the_test_images_may_be_those_to_validate_on(tmp_path):
    touch(tmp_path, *(f"{kind}/{split}/a.png" for kind in "im" for split in ("train", "test")))
    layout = {
        "images": "i/{split}/*.png",
        "masks": "m/{split}/*.png",
        "splits": {"train": "train", "val": "test"},
    }
    assert files_of(tmp_path, **layout) == {
        "train": ["i/train/a.png m/train/a.png"],
        "val": ["i/test/a.png m/test/a.png"],
    }


SEGNET = """/SegNet/CamVid/train/1.png /SegNet/CamVid/trainannot/1.png
/SegNet/CamVid/train/0.png /SegNet/CamVid/trainannot/0.png
"""


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", "])
def test_lists_with_two_columns_name_images_and_masks(tmp_path, separator):
    for split in ("train", "val"):
        touch(tmp_path, *(f"{split}{kind}/{i}.png" for kind in ("", "annot") for i in "01"))
        text = SEGNET.replace("train", split).replace(" ", separator)
        (tmp_path / f"{split}_files.csv").write_text(f"\ufeff{text}\n", encoding="utf-8")
    lists = {split: f"{split}_files.csv" for split in ("train", "val")}
    expected = {s: [f"{s}/{i}.png {s}annot/{i}.png" for i in "10"] for s in ("train", "val")}
    assert files_of(tmp_path, lists=lists) == expected
    own = {"images": "{split}/*.png", "masks": "{split}annot/*.png"}
    swapped = {"train": lists["val"], "val": lists["train"]}
    found = files_of(tmp_path, **own, lists=swapped)
    assert found == {"train": expected["val"], "val": expected["train"]}


@pytest.mark.parametrize(
    "line",
    [
        *("x_1", "x/x_1", "x_1_left", "x_1_left.png", "x/x_1_left.png", "train/x/x_1_left.png"),
        *("left/train/x/x_1_left", "/data/left/train/x/x_1_left.png", "x\\x_1_left.png"),
    ],
)
def test_a_list_may_call_an_image_by_any_end_of_its_path(tmp_path, line):
    touch(tmp_path, "left/train/x/x_1_left.png", "left/train/x/x_2_left.png")
    touch(tmp_path, "fine/train/x/x_1_fine_ids.png", "fine/train/x/x_2_fine_ids.png")
    (tmp_path / "a.txt").write_text(line)
    (tmp_path / "b.txt").write_text("x_2")
    found = files_of(tmp_path, **CITIES, lists={"train": "a.txt", "val": "b.txt"})
    assert found["train"] == ["left/train/x/x_1_left.png fine/train/x/x_1_fine_ids.png"]


def test_names_with_spaces_are_one_column(tmp_path):
    touch(tmp_path, "images/a b.png", "masks/a b.png", "images/c d.png", "masks/c d.png")
    (tmp_path / "train.txt").write_text("a b.png")
    (tmp_path / "val.txt").write_text("c d")
    assert files_of(tmp_path)["train"] == ["images/a b.png masks/a b.png"]


def test_links_are_followed_and_loops_are_not(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    touch(elsewhere, "pictures/a.png", "pictures/deep/b.png", "labels/a.png", "labels/deep/b.png")
    data = tmp_path / "data"
    for kind, real in (("images", "pictures"), ("masks", "labels")):
        (data / kind / "val").mkdir(parents=True)
        (data / kind / "train").symlink_to(elsewhere / real)
        (data / kind / "val" / "c.png").symlink_to(elsewhere / real / "a.png")
        (data / kind / "val" / "again").symlink_to(data / kind / "val")
        (data / kind / "val" / "self").symlink_to("self")
    found = by_split(data)
    assert {split: list(pairs) for split, pairs in found.items()} == {
        "train": ["train/a.png", "train/deep/b.png"],
        "val": ["val/c.png"],
    }


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
    "an unsplit folder": (files("images/a.png", "images/b.png", "masks/a.png"), r"no images in images/train/, and none listed in train\.txt; to split the 2 images of images/\*\*/\*\.\*, list the names"),
    "swapped folders": (files("images/train/a.png", "images/val/b.png", "masks/train/a.jpg", "masks/val/b.jpg"), r"; a\.jpg is there, a JPG: are images and masks swapped\?"),
    "a lossy mask beside": (files("images/train/a.jpg", "images/val/b.png", "masks/val/b.png", "masks/train/a.jpg"), r"; a\.jpg is there, but JPG changes labels"),
    "a mask of another name": (files("images/train/a.png", "images/val/b.png", "masks/train/a_mask.png"), r"; there is a_mask\.png"),
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


# fmt: off
WRONG_LAYOUTS = {
    "images alone": ({"images": "a/*.png"}, "images and masks are given together"),
    "the same twice": ({"images": "a/*.png", "masks": "a/*.png"}, "masks: the pattern of images again"),
    "an absolute pattern": ({"images": "/a/*.png", "masks": "b/*.png"}, r"images: '/a/\*\.png' does not lead"),
    "a pattern that leads out": ({"images": "a/*.png", "masks": "../b/*.png"}, r"masks: .* does not lead"),
    "other braces": ({"images": "{city}/*.png", "masks": "b/*.png"}, r"only \{split\} is known"),
    "stars that stand for nothing": ({"images": "a**/*.png", "masks": "b/*.png"}, r"\*\* stands for folders"),
    "no suffix": ({"images": "a/*", "masks": "b/*.png"}, r"images: 'a/\*' must end in \.\* or"),
    "lossy masks": ({"images": "a/*.jpg", "masks": "b/*.jpg"}, r"masks: 'b/\*\.jpg' must end in \.\* or one of \.bmp"),
    "too few stars": ({"images": "a/*/*.png", "masks": "b/*.png"}, r"masks has 1 \* and images 2"),
    "no split of images": ({"images": "a/*.png", "masks": "b/{split}/*.png"}, r"images: \{split\} is missing"),
    "folders of nothing": ({"splits": {"train": "a", "val": "b"}}, r"splits: they need \{split\}"),
    "no folder for training": ({"images": "{split}/*.png", "masks": "m/{split}/*.png", "splits": {"val": "test"}}, "splits: train and val are needed"),
    "one folder of two splits": ({"images": "{split}/*.png", "masks": "m/{split}/*.png", "splits": {"train": "a", "val": "a"}}, "each is a folder of its own"),
    "a list that leads out": ({"lists": {"train": "../a.txt"}}, r"'\.\./a\.txt' does not lead"),
    "another split": ({"lists": {"training": "a.txt"}}, "training"),
}
# fmt: on


@pytest.mark.parametrize("kind", WRONG_LAYOUTS)
def test_a_layout_that_fits_nothing_is_refused(kind):
    values, message = WRONG_LAYOUTS[kind]
    with pytest.raises(UserError, match=message):
        validate(Layout, values, source="classes.yaml")


# fmt: off
WRONG_LISTS = {
    "no mask": ("i/a.png m/c.png", r"train\.txt, line 1: no mask 'm/c\.png'"),
    "no image": ("i/c.png m/a.png", r"train\.txt, line 1: no image 'i/c\.png m/a\.png'"),
    "an image as its mask": ("i/a.png i/a.png", r"line 1: no mask 'i/a\.png'"),
    "a lossy mask": ("i/a.png m/a.jpg", r"line 1: 'a\.jpg' has none of \.bmp"),
    "twice": ("i/a.png m/a.png\ni/a.png m/b.png", r"line 2: .* is in train\.txt already"),
    "in another list": ("i/b.png m/a.png", r"val\.txt, line 1: 'i/b\.png m/b\.png' is in train\.txt already"),
    "no list": (None, r"train\.txt: no such file"),
}
# fmt: on


@pytest.mark.parametrize("kind", WRONG_LISTS)
def test_a_wrong_line_of_two_columns_is_named(kind, tmp_path):
    text, message = WRONG_LISTS[kind]
    touch(tmp_path, "i/a.png", "i/b.png", "m/a.png", "m/b.png", "m/a.jpg")
    (tmp_path / "val.txt").write_text("i/b.png m/b.png")
    if text is not None:
        (tmp_path / "train.txt").write_text(text)
    lists = {"train": "train.txt", "val": "val.txt"}
    with pytest.raises(UserError, match=message):
        find_pairs(tmp_path, Layout(lists=lists))


def test_a_list_that_is_not_given_is_named(tmp_path):
    touch(tmp_path, "images/a.png", "masks/a.png")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(UserError, match=r"files: lists has no val$"):
        find_pairs(tmp_path, Layout(lists={"train": "a.txt"}))


def test_a_name_that_fits_two_images_is_refused(tmp_path):
    touch(tmp_path, *(f"{kind}/{sub}/a.png" for kind in ("images", "masks") for sub in "xy"))
    (tmp_path / "train.txt").write_text("a.png")
    with pytest.raises(UserError, match=r"'a\.png' fits images/x/a\.png, images/y/a\.png; write"):
        find_pairs(tmp_path)
