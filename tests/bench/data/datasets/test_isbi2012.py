import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from bench.data import inspect, registry
from bench.data.datasets.isbi2012 import Settings
from bench.errors import UserError


def load(root, **values):
    return registry.load(Settings(**values), root)


def numbers(split):
    return [int(name.removeprefix("slice_")) for name in split.names]


@pytest.mark.parametrize("folds", [2, 4, 5, 7, 30])
def test_every_slice_is_for_validation_once_in_contiguous_blocks(folds, made_up_data):
    blocks = []
    for fold in range(folds):
        dataset = load(made_up_data, fold=fold, folds=folds)
        val, train = numbers(dataset.splits["val"]), numbers(dataset.splits["train"])
        assert val == list(range(val[0], val[-1] + 1))
        assert sorted(val + train) == list(range(30))
        blocks.append(val)
    assert [number for block in blocks for number in block] == list(range(30))
    assert max(map(len, blocks)) - min(map(len, blocks)) <= 1


def test_there_is_no_test_split(made_up_data):
    assert set(load(made_up_data).splits) == {"train", "val"}


def test_labels_are_0_for_membrane_and_1_for_cell(made_up_data):
    dataset = load(made_up_data, fold=1)
    assert dataset.classes == ("membrane", "cell")
    volume, labels = (
        cv2.imreadmulti(str(made_up_data / "isbi2012" / f"train-{kind}.tif"), flags=-1)[1]
        for kind in ("volume", "labels")
    )
    for name, number in zip(
        dataset.splits["val"].names, numbers(dataset.splits["val"]), strict=True
    ):
        image, mask = dataset.splits["val"].read(name)
        np.testing.assert_array_equal(image[..., 0], volume[number])
        np.testing.assert_array_equal(mask, labels[number] / 255)


@pytest.mark.parametrize(
    "values", [{"fold": 5}, {"fold": -1}, {"folds": 1}, {"folds": 31}, {"folds": 3, "fold": 3}]
)
def test_folds_that_do_not_exist_are_refused(values):
    with pytest.raises(ValidationError):
        Settings(**values)


def write(root, kind, stack):
    (root / "isbi2012").mkdir(exist_ok=True)
    first, *rest = [Image.fromarray(page) for page in stack]
    first.save(root / "isbi2012" / f"train-{kind}.tif", save_all=True, append_images=rest)


GOOD = np.zeros((30, 4, 5), np.uint8)


@pytest.mark.parametrize(
    ("volume", "labels", "message"),
    [
        (GOOD[:20], GOOD, r"train-volume\.tif: has 20 slices, not 30"),
        (GOOD, GOOD[:, :, :4], r"train-labels\.tif: slices of 4x4, the images have 4x5"),
        (GOOD, GOOD + np.eye(4, 5, dtype=np.uint8), r"labels\.tif: value 1 among 120 pixels"),
        (GOOD.astype(np.uint16), GOOD, r"train-volume\.tif: has more than 8 bits"),
        (GOOD, None, r"train-labels\.tif: no such file"),
    ],
)
def test_any_other_stack_is_refused(volume, labels, message, tmp_path):
    write(tmp_path, "volume", volume)
    if labels is not None:
        write(tmp_path, "labels", labels)
    with pytest.raises(UserError, match=message):
        load(tmp_path)


def test_the_real_stack_has_the_documented_content(real_data):
    report = inspect.check(load(real_data))
    assert [split.problems for split in report.values()] == [[], []]
    assert report["train"].sizes == {(512, 512): 24}
    assert report["val"].sizes == {(512, 512): 6}
    membrane = sum(split.pixels[0] for split in report.values())
    assert membrane / (30 * 512**2) == pytest.approx(0.2196, abs=1e-4)


def test_a_seed_holds_out_a_block_each(made_up_data):
    settings = Settings(fold="seed", folds=5)
    held_out = []
    for seed in range(7):
        chosen = settings.for_seed(seed)
        assert chosen.fold == seed % 5
        held_out.append(registry.load(chosen, made_up_data).splits["val"].names)
    assert held_out[5:] == held_out[:2]
    assert sorted(name for names in held_out[:5] for name in names) == [
        f"slice_{number:02d}" for number in range(30)
    ]
    numbers = [int(name[-2:]) for name in held_out[3]]
    assert numbers == list(range(numbers[0], numbers[0] + 6))
    assert Settings(fold=2).for_seed(4).fold == 2


def test_its_note_separates_the_papers_numbers(made_up_data):
    note = registry.load(Settings(), made_up_data).note
    assert all(number in note for number in ("0.000353", "0.0382", "0.0611"))
    assert "cannot be compared" in note
