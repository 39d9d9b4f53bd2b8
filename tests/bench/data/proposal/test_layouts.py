"""Small folders, laid out as the usual data sets are: each is found as it is."""

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.data.proposal import layouts
from bench.errors import UserError

SHAPE = (12, 16)
PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
LABELS = (np.arange(12 * 16).reshape(SHAPE) // 40).astype(np.uint8)
COLOURED = np.stack([LABELS * 40, LABELS, LABELS], -1)


def write(folder, *paths, image=LABELS):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / path), image)


def camvid(folder):
    for split in ("train", "val", "test"):
        write(folder, *(f"{split}/{i}.png" for i in "01"), image=PHOTOGRAPH)
        write(folder, *(f"{split}annot/{i}.png" for i in "01"))
        lines = [
            f"/SegNet/CamVid/{split}/{i}.png /SegNet/CamVid/{split}annot/{i}.png" for i in "10"
        ]
        (folder / f"{split}.txt").write_text("\n".join(lines))


def camvid_without_lists(folder):
    camvid(folder)
    for split in ("train", "val", "test"):
        (folder / f"{split}.txt").unlink()


def cityscapes(folder):
    for split, city in (("train", "aachen"), ("train", "bochum"), ("val", "lindau")):
        for i in "01":
            name = f"{split}/{city}/{city}_00000{i}_000019"
            write(folder, f"leftImg8bit/{name}_leftImg8bit.png", image=PHOTOGRAPH)
            write(folder, f"gtFine/{name}_gtFine_labelIds.png")
            write(folder, f"gtFine/{name}_gtFine_instanceIds.png", image=LABELS.astype(np.uint16))
            write(folder, f"gtFine/{name}_gtFine_color.png", image=COLOURED)


def ade20k(folder):
    for split in ("training", "validation"):
        for i in "01":
            write(folder, f"images/{split}/ADE_{split[:5]}_{i}.jpg", image=PHOTOGRAPH)
            write(folder, f"annotations/{split}/ADE_{split[:5]}_{i}.png")


def voc(folder):
    for i in range(6):
        write(folder, f"JPEGImages/2007_00000{i}.jpg", image=PHOTOGRAPH)
        if i < 4:
            write(folder, f"SegmentationClass/2007_00000{i}.png")
            write(folder, f"SegmentationObject/2007_00000{i}.png")
    for name, numbers in {"train": "01", "val": "23", "trainval": "0123"}.items():
        for task, others in {"Main": "45", "Segmentation": ""}.items():
            path = folder / "ImageSets" / task / f"{name}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"2007_00000{i}\n" for i in numbers + others))


def isic(folder):
    for split in ("Training", "Validation", "Test_v2"):
        for i in "01":
            write(folder, f"ISIC-2017_{split}_Data/ISIC_000000{i}.jpg", image=PHOTOGRAPH)
            write(
                folder, f"ISIC-2017_{split}_Data/ISIC_000000{i}_superpixels.png", image=PHOTOGRAPH
            )
            masks = f"ISIC-2017_{split}_Part1_GroundTruth"
            write(folder, f"{masks}/ISIC_000000{i}_segmentation.png", image=255 * (LABELS > 2))


def by_kind_in_each_split(folder):
    for split in ("train", "valid"):
        for i in "01":
            write(folder, f"{split}/images/{i}.JPG", image=PHOTOGRAPH)
            write(folder, f"{split}/labels/{i}_mask.PNG")
    write(folder, "test/images/0.JPG", image=PHOTOGRAPH)  # whose mask is not public


def beside_each_other(folder):
    for split in ("train", "test"):
        for i in "01":
            write(folder, f"{split}/image_{i}.png", image=PHOTOGRAPH)
            write(folder, f"{split}/mask_{i}.png")


def carvana_with_lists(folder):
    for split, name in (("train", "0cd_01"), ("val", "0cd_02")):
        write(folder, f"train/{name}.jpg", image=PHOTOGRAPH)
        (folder / "train_masks").mkdir(exist_ok=True)
        Image.fromarray(255 * (LABELS > 2).astype(np.uint8)).save(
            folder / "train_masks" / f"{name}_mask.gif"
        )
        (folder / f"{split}.txt").write_text(f"{name}\n")


def usual(folder):
    for split in ("train", "val"):
        write(folder, f"images/{split}/a.png", image=PHOTOGRAPH)
        write(folder, f"masks/{split}/a.png")


def swapped(folder):
    for split in ("train", "val"):
        write(folder, f"images/{split}/a.png")
        write(folder, f"masks/{split}/a.png", image=PHOTOGRAPH)


def carvana(folder):
    write(folder, "train/0cd_01.jpg", "train/0cd_02.jpg", image=PHOTOGRAPH)
    write(folder, "train_masks/0cd_01_mask.png", "train_masks/0cd_02_mask.png")


# What find returns of each: the layout, and by split the first image and its mask.
# fmt: off
FOUND = {
    usual: (None, {"train": ("images/train/a.png", "masks/train/a.png"), "val": ("images/val/a.png", "masks/val/a.png")}),
    camvid: ({"lists": {"train": "train.txt", "val": "val.txt", "test": "test.txt"}},
             {s: (f"{s}/1.png", f"{s}annot/1.png") for s in ("train", "val", "test")}),
    camvid_without_lists: ({"images": "{split}/*.png", "masks": "{split}annot/*.png"},
                           {s: (f"{s}/0.png", f"{s}annot/0.png") for s in ("train", "val", "test")}),
    cityscapes: ({"images": "leftImg8bit/{split}/**/*_leftImg8bit.png", "masks": "gtFine/{split}/**/*_gtFine_labelIds.png"},
                 {"train": ("leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png", "gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png"),
                  "val": ("leftImg8bit/val/lindau/lindau_000000_000019_leftImg8bit.png", "gtFine/val/lindau/lindau_000000_000019_gtFine_labelIds.png")}),
    ade20k: ({"images": "images/{split}/*.jpg", "masks": "annotations/{split}/*.png", "splits": {"train": "training", "val": "validation"}},
             {"train": ("images/training/ADE_train_0.jpg", "annotations/training/ADE_train_0.png"),
              "val": ("images/validation/ADE_valid_0.jpg", "annotations/validation/ADE_valid_0.png")}),
    voc: ({"images": "JPEGImages/*.jpg", "masks": "SegmentationClass/*.png", "lists": {"train": "ImageSets/Segmentation/train.txt", "val": "ImageSets/Segmentation/val.txt"}},
          {"train": ("JPEGImages/2007_000000.jpg", "SegmentationClass/2007_000000.png"), "val": ("JPEGImages/2007_000002.jpg", "SegmentationClass/2007_000002.png")}),
    isic: ({"images": "ISIC-2017_{split}_Data/*.jpg", "masks": "ISIC-2017_{split}_Part1_GroundTruth/*_segmentation.png", "splits": {"train": "Training", "val": "Validation"}},
           {s: (f"ISIC-2017_{f}_Data/ISIC_0000000.jpg", f"ISIC-2017_{f}_Part1_GroundTruth/ISIC_0000000_segmentation.png") for s, f in {"train": "Training", "val": "Validation"}.items()}),
    by_kind_in_each_split: ({"images": "{split}/images/*.JPG", "masks": "{split}/labels/*_mask.PNG", "splits": {"train": "train", "val": "valid"}},
                            {"train": ("train/images/0.JPG", "train/labels/0_mask.PNG"), "val": ("valid/images/0.JPG", "valid/labels/0_mask.PNG")}),
    swapped: ({"images": "masks/{split}/*.png", "masks": "images/{split}/*.png"},
              {s: (f"masks/{s}/a.png", f"images/{s}/a.png") for s in ("train", "val")}),
    carvana: ({"images": "train/*.jpg", "masks": "train_masks/*_mask.png"}, {"all": ("train/0cd_01.jpg", "train_masks/0cd_01_mask.png")}),
    carvana_with_lists: ({"images": "train/*.jpg", "masks": "train_masks/*_mask.gif", "lists": {"train": "train.txt", "val": "val.txt"}},
                         {"train": ("train/0cd_01.jpg", "train_masks/0cd_01_mask.gif"), "val": ("train/0cd_02.jpg", "train_masks/0cd_02_mask.gif")}),
    beside_each_other: ({"images": "{split}/image_*.png", "masks": "{split}/mask_*.png", "splits": {"train": "train", "val": "test"}},
                        {"train": ("train/image_0.png", "train/mask_0.png"), "val": ("test/image_0.png", "test/mask_0.png")}),
}
# fmt: on


@pytest.mark.parametrize("make", FOUND)
def test_the_usual_layouts_are_found(make, tmp_path):
    make(tmp_path)
    layout, pairs = layouts.find(tmp_path)
    said, expected = FOUND[make]
    assert (layout and layout.model_dump(exclude_defaults=True)) == said
    first = {split: next(iter(found.values())) for split, found in pairs.items()}
    relative = {s: tuple(p.relative_to(tmp_path).as_posix() for p in f) for s, f in first.items()}
    assert relative == expected


def lossy(folder):
    for split in ("train", "val"):
        write(folder, f"{split}/images/a.jpg", f"{split}/masks/a.jpg", image=PHOTOGRAPH)


def one_mask_too_few(folder):
    cityscapes(folder)
    (folder / "gtFine/val/lindau/lindau_000001_000019_gtFine_labelIds.png").unlink()


def photographs(folder):
    for split in ("train", "val"):
        write(folder, f"{split}/images/a.png", f"{split}/masks/a.png", image=PHOTOGRAPH)


# fmt: off
REFUSED = {
    lossy: r"no images with masks of similar names found; masks are \.bmp",
    one_mask_too_few: r"gtFine: 1 of 2 masks of the val split are missing: val/lindau/lindau_000001_000019_gtFine_labelIds\.png",
    photographs: "no images with masks",
}
# fmt: on


@pytest.mark.parametrize("make", REFUSED)
def test_what_is_no_such_folder_is_explained(make, tmp_path):
    make(tmp_path)
    with pytest.raises(UserError, match=REFUSED[make]) as error:
        layouts.find(tmp_path)
    assert "\n" not in str(error.value)
