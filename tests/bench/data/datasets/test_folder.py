import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from bench.data import registry
from bench.data.datasets.folder import Settings
from bench.data.files import pairs
from bench.errors import UserError

IDS = np.array([[0, 1, 2, 2], [255, 0, 1, 2], [1, 1, 1, 0]], dtype=np.uint8)
XYZ = "names: [x, y, z]\nignore: [255]"
RGB = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)


def write(root, classes, mask=IDS, image=RGB, suffix=".png"):
    for split in ("train", "val"):
        for kind, array in (("images", image + (split == "val")), ("masks", mask)):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
            bgr = array[..., ::-1] if array.ndim == 3 else array
            cv2.imwrite(str(root / kind / split / f"a{suffix}"), bgr)
    (root / "classes.yaml").write_text(classes)
    return root


def load(root, **values):
    return registry.load(Settings(path=str(root), **values), root / "nowhere")


def read(root, **values):
    return load(root, **values).splits["train"].read("train/a.png")


def test_values_are_labels_in_the_order_of_the_names(tmp_path):
    dataset = load(write(tmp_path, XYZ))
    assert dataset.classes == ("x", "y", "z")
    image, mask = dataset.splits["train"].read("train/a.png")
    np.testing.assert_array_equal(image, RGB)
    np.testing.assert_array_equal(mask, IDS)


def test_names_by_value_may_leave_gaps(tmp_path):
    values = np.array([[7, 26, 7], [0, 255, 26]], dtype=np.uint8)
    root = write(tmp_path, "names: {26: car, 7: road}\nignore: [0, 255]", values, RGB[:2, :3])
    assert load(root).classes == ("car", "road")
    np.testing.assert_array_equal(read(root)[1], [[1, 0, 1], [255, 255, 0]])


def test_255_may_be_a_class(tmp_path):
    root = write(tmp_path, "names: {0: ground, 255: figure}", np.where(IDS > 1, 255, 0))
    np.testing.assert_array_equal(read(root)[1], IDS > 1)


def test_colours_are_labels(tmp_path):
    colours = np.array([(9, 8, 7), (7, 8, 9), (0, 0, 0), (255, 255, 255)], dtype=np.uint8)
    labels = np.arange(12).reshape(3, 4) % 4
    classes = (
        "names: [a, b]\nmasks: palette\ncolours: [[9, 8, 7], [7, 8, 9]]\n"
        "ignore: [[0, 0, 0], [255, 255, 255]]"
    )
    root = write(tmp_path, classes, colours[labels])
    np.testing.assert_array_equal(read(root)[1], np.where(labels > 1, 255, labels))
    np.testing.assert_array_equal(load(root).palette, colours[:2])


def test_grey_values_on_request(tmp_path):
    image, _ = read(write(tmp_path, XYZ), channels=1)
    np.testing.assert_allclose(image[..., 0], RGB @ [0.299, 0.587, 0.114], atol=1)


def test_classes_without_colours_are_given_some(tmp_path):
    palette = load(write(tmp_path, XYZ)).palette
    assert len({tuple(colour) for colour in palette.tolist()}) == 3


def test_a_path_is_relative_to_the_data_folder(tmp_path):
    write(tmp_path / "mine" / "set", XYZ)
    dataset = registry.load(Settings(path="mine/set"), tmp_path)
    assert dataset.splits["val"].names == ("val/a.png",)


def test_where_files_are_makes_no_other_data_of_them(tmp_path):
    usual = load(write(tmp_path, XYZ))
    files = "{images: 'images/{split}/*.png', masks: 'masks/{split}/*.*'}"
    said = load(write(tmp_path, f"{XYZ}\nfiles: {files}"))
    assert said.fingerprint == usual.fingerprint
    moved = "{images: 'pictures/{split}/*.png', masks: 'masks/{split}/*.*'}"
    (tmp_path / "images").rename(tmp_path / "pictures")
    (tmp_path / "classes.yaml").write_text(f"{XYZ}\nfiles: {moved}")
    assert load(tmp_path).fingerprint == usual.fingerprint


def test_pairs_beyond_the_cache_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "CACHE_BYTES", 0)
    split = load(write(tmp_path, XYZ)).splits["train"]
    first, again = split.read("train/a.png"), split.read("train/a.png")
    np.testing.assert_array_equal(first[1], again[1])
    assert first[1] is not again[1]


# fmt: off
CLASSES = {
    "unknown key": ("names: [a]\ncolors: [[1, 2, 3]]", "unknown key 'colors'; did you mean 'colours'"),
    "no names": ("masks: ids", "names: is missing"),
    "empty names": ("names: []", "names"),
    "names that are none": ("names: [a, no]", "names"),
    "a name twice": ("names: [a, a]", "names: a name is given twice"),
    "a blank name": ("names: [a, ' ']", "names: ' ' is not a name"),
    "a name of two lines": ('names: ["a\\nb"]', r"names: 'a\nb' is not a name"),
    "a key twice": ("names: [a]\nnames: [b]", "key 'names' is given twice"),
    "too few colours": ("names: [a, b]\ncolours: [[1, 2, 3]]", "colours: 1 for 2 names"),
    "no colours": ("names: [a, b]\nmasks: palette", "colours: needed"),
    "a colour that is none": ("names: [a]\ncolours: [[1, 2, 300]]", "colours"),
    "a colour twice": ("names: [a, b]\nmasks: palette\ncolours: [[1, 2, 3], [1, 2, 3]]", "given twice"),
    "a value that is a class and void": ("names: [a, b]\nignore: [1]", "given twice"),
    "values for colours": ("names: [a]\nmasks: palette\ncolours: [[1, 2, 3]]\nignore: [0]", "ignore: must be colours"),
    "colours for values": ("names: [a]\nignore: [[0, 0, 0]]", "ignore: must be values"),
    "values of coloured classes": ("names: {1: a}\nmasks: palette\ncolours: [[1, 2, 3]]", "names: must be a list"),
    "half a layout": ("names: [a]\nfiles: {images: 'a/*.png'}", "files: images and masks are given together"),
    "a layout of another key": ("names: [a]\nfiles: {mask: 'a/*.png'}", "unknown key 'mask'; did you mean 'masks'"),
    "another kind": ("names: [a]\nmasks: rle", "masks: "),
    "too large a value": ("names: {256: a}", "names"),
    "a tag": ("names: !!python/name:os.system", "not readable as YAML"),
    "a list": ("- a", "a mapping"),
}
# fmt: on


@pytest.mark.parametrize("kind", CLASSES)
def test_a_wrong_classes_file_is_explained(kind, tmp_path):
    text, message = CLASSES[kind]
    write(tmp_path, text)
    with pytest.raises(UserError) as error:
        load(tmp_path)
    for line in str(error.value).splitlines():
        assert line.startswith(f"{tmp_path / 'classes.yaml'}: ")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("classes", "mask", "message"),
    [
        ("names: [x, y]\nignore: [255]", IDS, "unknown value 2 in 3 pixels; give it a name"),
        ("names: [x, y, z]", IDS, "unknown value 255 in 1 pixel; `ignore: [255]` in classes.yaml"),
        (XYZ, IDS[:2], "2x4 pixels, its image has 3x4"),
        (XYZ, RGB, "has colours"),
        (
            "names: [x]\nmasks: palette\ncolours: [[0, 1, 2]]",
            RGB,
            "11 unknown colours: (3, 4, 5) in 1 pixel",
        ),
    ],
)
def test_a_wrong_mask_is_named(classes, mask, message, tmp_path):
    write(tmp_path, classes, mask)
    with pytest.raises(UserError) as error:
        read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'masks' / 'train' / 'a.png'}: {message}")


def test_a_wrong_image_is_named(tmp_path):
    write(tmp_path, XYZ)
    Image.fromarray(IDS.astype(np.uint16)).save(tmp_path / "images" / "train" / "a.png")
    with pytest.raises(UserError, match=r"images/train/a\.png: has 1 channel, and data.channels"):
        read(tmp_path)


def test_images_of_16_bits_and_4_channels(tmp_path):
    deep = np.random.default_rng(0).integers(0, 4096, (3, 4, 4), dtype=np.uint16)
    write(tmp_path, XYZ, image=deep[..., [2, 1, 0, 3]], suffix=".tif")
    for split in ("train", "val"):
        file = tmp_path / "images" / split / "a.tif"
        file.unlink()
        tifffile.imwrite(file, deep, photometric="rgb")
    dataset = load(tmp_path, channels=4)
    assert (dataset.in_channels, dataset.bits) == (4, 16)
    np.testing.assert_array_equal(dataset.splits["val"].read("val/a.tif")[0], deep)


def test_images_have_as_many_bits_as_the_first_one(tmp_path):
    write(tmp_path, XYZ)
    deep = np.zeros((3, 4, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "images" / "val" / "a.png"), deep)
    dataset = load(tmp_path)
    assert dataset.bits == 8
    with pytest.raises(UserError, match=r"val/a.png: has uint16 values, and the other .* uint8"):
        dataset.splits["val"].read("val/a.png")


@pytest.mark.parametrize("missing", ["classes.yaml", "images", "masks"])
def test_a_missing_part_is_named(missing, tmp_path):
    write(tmp_path, XYZ)
    (tmp_path / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=missing):
        load(tmp_path)
