import hashlib
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from bench.data import inspect, registry
from bench.data.datasets import msrc_v2
from bench.data.datasets.msrc_v2 import FOLDER, Settings
from bench.data.files import archives
from bench.errors import UserError

# The palette as the official archive documents it, in its order; written down apart from the code.
PALETTE = """
void 0 0 0; building 128 0 0; grass 0 128 0; tree 128 128 0; cow 0 0 128; horse 128 0 128;
sheep 0 128 128; sky 128 128 128; mountain 64 0 0; aeroplane 192 0 0; water 64 128 0;
face 192 128 0; car 64 0 128; bicycle 192 0 128; flower 64 128 128; sign 192 128 128; bird 0 64 0;
book 128 64 0; chair 0 192 0; road 128 64 128; cat 0 192 128; dog 128 192 128; body 64 64 0;
boat 192 64 0
"""
COLOURS = {
    name: tuple(map(int, rgb)) for name, *rgb in (entry.split() for entry in PALETTE.split(";"))
}


@pytest.fixture
def root(made_up_data, tmp_path):
    shutil.copytree(made_up_data / FOLDER, tmp_path / FOLDER, copy_function=shutil.copyfile)
    return tmp_path


def load(root, **values):
    return registry.load(Settings(**values), root)


def stored(root, name):
    return np.array(
        Image.open(root / FOLDER / "GroundTruth" / f"{name.removesuffix('.bmp')}_GT.bmp")
    )


def test_splits_are_those_of_textonboost():
    splits = {split: msrc_v2.split_names(split) for split in msrc_v2.SPLITS}
    assert {split: len(names) for split, names in splits.items()} == {
        "train": 276,
        "val": 59,
        "test": 256,
    }
    names = [name for part in splits.values() for name in part]
    assert len(set(names)) == 591
    assert {int(name.split("_")[0]) for name in names} == set(range(1, 21))


def test_a_final_run_trains_on_validation_images_too(root):
    apart, together = load(root), load(root, training="train+val")
    names = (*apart.splits["train"].names, *apart.splits["val"].names)
    assert together.splits["train"].names == names
    assert set(together.splits) == set(apart.splits) - {"val"}
    assert together.fingerprint != apart.fingerprint


@pytest.mark.parametrize("void", ["ignore", "class"])
def test_labels_stand_for_the_colours_of_the_palette(void, root):
    dataset = load(root, void=void)
    rare = {"void", "horse", "mountain"}
    kept = [name for name in COLOURS if name not in rare]
    assert dataset.classes == (("void", *kept) if void == "class" else tuple(kept))
    for name in dataset.splits["val"].names:
        coloured = stored(root, name)
        _, mask = dataset.splits["val"].read(name)
        for meaning, colour in COLOURS.items():
            label = 255 if void == "ignore" else 0
            if meaning not in rare:
                label = dataset.classes.index(meaning)
            assert (mask[(coloured == colour).all(axis=-1)] == label).all()
    for name, colour in zip(dataset.classes, dataset.palette, strict=True):
        assert tuple(colour) == COLOURS[name]


def test_images_are_those_of_the_files(root):
    dataset = load(root)
    name = dataset.splits["test"].names[7]
    expected = np.array(Image.open(root / FOLDER / "Images" / name))
    np.testing.assert_array_equal(dataset.splits["test"].read(name)[0], expected)


def delete(root, split, kinds=("Images", "GroundTruth"), count=None):
    for name in msrc_v2.split_names(split)[:count]:
        if "Images" in kinds:
            (root / FOLDER / "Images" / name).unlink()
        if "GroundTruth" in kinds:
            msrc_v2._mask_file(root / FOLDER, name).unlink()


def test_test_images_are_optional(root):
    before = load(root)
    delete(root, "test")
    after = load(root)
    assert list(after.splits) == ["train", "val"]
    for split in after.splits:
        assert after.splits[split].fingerprint == before.splits[split].fingerprint


@pytest.mark.parametrize(
    ("split", "kinds", "count", "message"),
    [
        ("test", ("Images",), 1, r"of the test split 1 files are missing: Images/18_5_s\.bmp$"),
        ("val", ("GroundTruth",), 2, r"val split 2 files .*: GroundTruth/18_14_s_GT\.bmp, Gr"),
        ("train", ("GroundTruth",), None, r"train split 276 files are missing: .* and 273 more"),
        ("train", ("Images", "GroundTruth"), None, "the images of train are missing"),
    ],
)
def test_an_incomplete_split_is_an_error(split, kinds, count, message, root):
    delete(root, split, kinds, count)
    with pytest.raises(UserError, match=message):
        load(root)


def test_a_mask_of_another_size_is_named(root):
    name = msrc_v2.split_names("train")[3]
    file = msrc_v2._mask_file(root / FOLDER, name)
    Image.new("RGB", (6, 5)).save(file)
    with pytest.raises(UserError, match=r"_GT\.bmp: 5x6 pixels, its image has 4x6") as error:
        load(root).splits["train"].read(name)
    assert str(file) in str(error.value)


def test_an_unknown_colour_is_named_with_its_pixels(root):
    name = msrc_v2.split_names("train")[3]
    file = msrc_v2._mask_file(root / FOLDER, name)
    coloured = np.zeros((4, 6, 3), np.uint8)
    coloured[1, 2:5] = (1, 2, 3)
    Image.fromarray(coloured).save(file)
    with pytest.raises(UserError, match=r"_GT\.bmp: unknown colour \(1, 2, 3\) in 3 pixels$"):
        load(root).splits["train"].read(name)


def test_a_file_changed_between_two_loads_is_read_anew(root):
    name = msrc_v2.split_names("val")[0]
    load(root).splits["val"].read(name)
    Image.new("RGB", (6, 4), COLOURS["cow"]).save(msrc_v2._mask_file(root / FOLDER, name))
    dataset = load(root)
    assert (dataset.splits["val"].read(name)[1] == dataset.classes.index("cow")).all()


def packed(root, archive, splits, kinds=("Images", "GroundTruth")):
    """Pack splits as the official archive does: everything under one folder."""
    files = []
    for name in (name for split in splits for name in msrc_v2.split_names(split)):
        pair = {"Images": root / FOLDER / "Images" / name}
        pair["GroundTruth"] = msrc_v2._mask_file(root / FOLDER, name)
        files += [pair[kind] for kind in kinds]
    members = {file.relative_to(root / FOLDER.parent).as_posix(): file for file in files}
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as opened:
            for member, file in members.items():
                opened.write(file, member)
            opened.writestr(f"{FOLDER.name}/Images/Thumbs.db", b"x")
    else:
        with tarfile.open(archive, "w:gz") as opened:
            for member, file in members.items():
                opened.add(file, member)
    return archive


def test_archives_are_installed_one_after_the_other(made_up_data, tmp_path):
    first = packed(made_up_data, tmp_path / "one.tar.gz", ["train", "val"])
    second = packed(made_up_data, tmp_path / "two.zip", ["test"])
    root = tmp_path / "data"
    lines = msrc_v2.install(root, [first])
    assert len(lines) == 1
    assert lines[0].startswith("one.tar.gz: 335 images")
    assert list(load(root).splits) == ["train", "val"]
    msrc_v2.install(root, [first, second])
    assert load(root).fingerprint == load(made_up_data).fingerprint
    assert [path.name for path in (root / "msrc_v2").iterdir()] == [FOLDER.name]
    assert sum(path.is_file() for path in root.rglob("*")) == 2 * 591


@pytest.mark.parametrize("content", ["masks without images", "something else", "no archive"])
def test_an_archive_of_something_else_changes_nothing(content, made_up_data, tmp_path):
    archive = tmp_path / "archive.zip"
    if content == "masks without images":
        packed(made_up_data, archive, ["val"], ["GroundTruth"])
    elif content == "something else":
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("x/1_10_s.bmp", b"x")
    else:
        archive.write_text("<html>404</html>" * 99)
    with pytest.raises(UserError, match=r"archive\.zip: "):
        msrc_v2.install(tmp_path / "data", [archive])
    assert [p for p in (tmp_path / "data").rglob("*") if p.name != "msrc_v2"] == []


def test_without_an_archive_it_is_downloaded(made_up_data, tmp_path, monkeypatch):
    archive = packed(made_up_data, tmp_path / "served.zip", msrc_v2.SPLITS)

    def download(url, path, *, progress):
        assert url.startswith("https://download.microsoft.com/")
        assert url.endswith("/msrc_objcategimagedatabase_v2.zip")
        path.parent.mkdir(parents=True)
        shutil.copy(archive, path)
        progress(1, 1)

    monkeypatch.setattr(archives, "download", download)
    told = []
    root = tmp_path / "data"
    lines = msrc_v2.install(root, [], progress=lambda *numbers: told.append(numbers))
    assert told == [(1, 1)]
    assert hashlib.md5(archive.read_bytes()).hexdigest() in lines[1]
    assert f"not {msrc_v2.REPORTED_MD5}" in lines[1]
    assert load(root).fingerprint == load(made_up_data).fingerprint
    assert [path.name for path in (root / "msrc_v2").iterdir()] == [FOLDER.name]


def test_a_damaged_download_is_not_kept(tmp_path, monkeypatch):
    def download(url, path, *, progress):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"PK\x03\x04 and no more")

    monkeypatch.setattr(archives, "download", download)
    with pytest.raises(UserError, match="no archive that can be read"):
        msrc_v2.install(tmp_path, [])
    assert list((tmp_path / "msrc_v2").iterdir()) == []


@pytest.mark.parametrize("void", ["ignore", "class"])
def test_the_real_files_have_the_documented_content(void, real_data):
    dataset = registry.load(Settings(void=void), real_data)
    report = inspect.check(dataset)
    train, val = report["train"], report["val"]
    assert train.problems == val.problems == []
    assert (train.images, val.images) == (276, 59)
    assert train.sizes[213, 320] == 206
    classes = slice(len(dataset.classes) - 21, len(dataset.classes))
    assert min(*train.images_with[classes], *val.images_with[classes]) > 0
    void_share = train.void_share if void == "ignore" else train.shares[0]
    assert 0.2 < void_share < 0.24


def test_the_study_and_the_benchmark_differ_in_void_alone(real_data):
    ignored = registry.load(Settings(), real_data).splits["val"]
    counted = registry.load(Settings(void="class"), real_data).splits["val"]
    for name in ignored.names:
        image, mask = ignored.read(name)
        other_image, other_mask = counted.read(name)
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(np.where(mask == 255, 0, mask + 1), other_mask)
