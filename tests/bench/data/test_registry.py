"""Requirements of every dataset."""

import pickle
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from bench.data import registry
from bench.data.dataset import IGNORE_INDEX, Dataset, DatasetSettings, Split
from bench.errors import UserError

VARIANTS = {
    "cells": [
        {"train": 3, "val": 2, "test": 2, "size": 48},
        {"train": 3, "val": 2, "test": 2, "size": 48, "seed": 1},
        {"train": 3, "val": 2, "test": 2, "size": 48, "spacing": 9},
    ],
    "folder": [{"path": "streets"}, {"path": "streets", "channels": 1}],
    "isbi2012": [{"folds": 3}, {"folds": 3, "fold": 2}],
    "msrc_v2": [{}, {"void": "class"}],
    "scenes": [
        {"train": 3, "val": 2, "test": 2, "size": 48},
        {"train": 3, "val": 2, "test": 2, "size": 48, "void": "class"},
        {"train": 3, "val": 2, "test": 2, "size": 48, "seed": 1},
    ],
}
CASES = [(name, values) for name, variants in VARIANTS.items() for values in variants]


def load(name, values, root):
    return registry.load(registry.module(name).Settings(**values), root)


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_every_dataset_is_tested_here():
    assert tuple(sorted(VARIANTS)) == registry.names()


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def case(request):
    return request.param


@pytest.fixture
def dataset(case, made_up_data):
    return load(*case, made_up_data)


def test_it_says_what_its_classes_are(case, dataset):
    assert dataset.name == case[0] == registry.module(case[0]).Settings(**case[1]).name
    assert len(set(dataset.classes)) == len(dataset.classes) > 1
    assert dataset.palette.shape == (len(dataset.classes), 3)
    assert dataset.palette.dtype == np.uint8
    assert len({tuple(colour) for colour in dataset.palette.tolist()}) == len(dataset.classes)


def test_it_has_splits_that_do_not_overlap(dataset):
    assert {"train", "val"} <= set(dataset.splits) <= {"train", "val", "test"}
    names = [name for split in dataset.splits.values() for name in split.names]
    assert len(set(names)) == len(names)
    pictures = {
        split.read(name)[0].tobytes() for split in dataset.splits.values() for name in split.names
    }
    assert len(pictures) == len(names)


def test_images_and_masks_have_the_documented_form(dataset):
    for split in dataset.splits.values():
        for name in split.names:
            image, mask = split.read(name)
            assert image.dtype == mask.dtype == np.uint8
            assert image.shape == (*mask.shape, dataset.in_channels)
            assert set(np.unique(mask)) <= {*range(len(dataset.classes)), IGNORE_INDEX}


def test_the_caller_may_change_what_was_read(dataset):
    for split in dataset.splits.values():
        name = split.names[0]
        before = split.read(name)
        image, mask = split.read(name)
        image += 1
        mask[:] = 0
        assert same(split.read(name), before)


def test_opening_it_again_gives_the_same(case, dataset, made_up_data):
    again = load(*case, made_up_data)
    assert again.fingerprint == dataset.fingerprint
    for name, split in dataset.splits.items():
        assert again.splits[name].fingerprint == split.fingerprint
        assert again.splits[name].names == split.names
        assert all(same(again.splits[name].read(n), split.read(n)) for n in split.names)


def test_a_split_can_be_sent_to_another_process(dataset):
    split = dataset.splits["val"]
    name = split.names[-1]
    assert same(pickle.loads(pickle.dumps(split)).read(name), split.read(name))


def test_an_unknown_name_is_misuse(dataset):
    with pytest.raises(ValueError, match="no image 'moon'"):
        dataset.splits["train"].read("moon")


@pytest.mark.parametrize("name", registry.names())
def test_settings_that_change_what_is_read_change_the_fingerprint(name, made_up_data):
    opened = [load(name, values, made_up_data) for values in VARIANTS[name]]
    assert len({dataset.fingerprint for dataset in opened}) == len(opened)
    assert len({dataset.splits["train"].fingerprint for dataset in opened}) == len(opened)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("folder", "streets/masks/train/a.png"),
        ("isbi2012", "isbi2012/train-labels.tif"),
        ("msrc_v2", "msrc_v2/MSRC_ObjCategImageDatabase_v2/Images/{}"),
    ],
)
def test_a_changed_file_changes_the_fingerprint(name, file, made_up_data, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(made_up_data, root)
    before = load(name, VARIANTS[name][0], root)
    assert before.fingerprint == load(name, VARIANTS[name][0], made_up_data).fingerprint
    path = root / file.format(before.splits["train"].names[0])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    after = load(name, VARIANTS[name][0], root)
    assert after.fingerprint != before.fingerprint
    assert after.splits["train"].fingerprint != before.splits["train"].fingerprint


@pytest.mark.parametrize("name", sorted({*registry.names()} - {"cells", "scenes"}))
def test_missing_files_are_named(name, tmp_path):
    with pytest.raises(UserError, match=str(tmp_path)) as error:
        load(name, VARIANTS[name][0], tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", registry.names())
def test_settings_of_another_dataset_are_misuse(name, tmp_path):
    with pytest.raises(ValueError, match="not the settings"):
        registry.load(DatasetSettings(name=name), tmp_path)


def test_an_unknown_dataset_is_named_with_the_nearest():
    with pytest.raises(UserError, match="unknown dataset 'scene'; did you mean 'scenes'"):
        registry.module("scene")


def returning(image, mask):
    """A dataset module whose only images are what is given."""
    split = Split(("a",), lambda name: (image, mask))
    dataset = Dataset("fake", ("x", "y"), np.eye(2, 3, dtype=np.uint8), 3, {"train": split}, "")
    return SimpleNamespace(load=lambda settings, root: dataset, Settings=DatasetSettings)


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        ((4, 5, 3), np.zeros((5, 4)), "a: image and mask do not fit"),
        ((4, 5, 1), np.zeros((4, 5)), "a: image and mask do not fit"),
        ((4, 5, 3), np.pad([[2, 7]], ((0, 3), (0, 3))), "a: label 7 in 2 pixels, but there are 2"),
        ((4, 5, 3), np.full((4, 5), 254), "a: label 254 in 20 pixels"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(image, mask, message, monkeypatch, tmp_path):
    fake = returning(np.zeros(image, np.uint8), mask.astype(np.uint8))
    monkeypatch.setattr(registry, "module", lambda name: fake)
    split = registry.load(DatasetSettings(name="fake"), tmp_path).splits["train"]
    with pytest.raises(UserError, match=message):
        split.read("a")


def test_a_mask_of_void_alone_is_accepted(monkeypatch, tmp_path):
    fake = returning(np.zeros((4, 5, 3), np.uint8), np.full((4, 5), 255, np.uint8))
    monkeypatch.setattr(registry, "module", lambda name: fake)
    split = registry.load(DatasetSettings(name="fake"), tmp_path).splits["train"]
    assert (split.read("a")[1] == IGNORE_INDEX).all()
