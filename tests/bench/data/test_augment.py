"""Named pipelines: image and labels move together, no label appears, draws are independent."""

import random

import albumentations as A
import numpy as np
import pytest

from bench.components.built_in import BUILT_IN
from bench.data import augment
from bench.data.batches import augmented
from bench.errors import UserError


def picture(seed=0):
    """An image whose first channel is its mask, so that a test can check that both move together."""
    coarse = np.random.default_rng(seed).integers(0, 5, (6, 8), dtype=np.uint8)
    mask = coarse.repeat(16, axis=0).repeat(16, axis=1)
    return np.stack([mask * 50] * 3, axis=-1), mask


def apply(pipeline, seed):
    image, mask = picture()
    pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
    moved = pipeline(image=image, mask=mask)
    return moved["image"], moved["mask"]


@pytest.mark.parametrize("name", [name for name in BUILT_IN["augmentation"] if name != "none"])
def test_every_pipeline_changes_images_and_keeps_shapes_and_types(name):
    pipeline = augment.build(name)
    changed = 0
    for seed in range(12):
        image, mask = apply(pipeline, seed)
        original, labels = picture()
        assert image.shape == original.shape
        assert image.dtype == original.dtype
        assert mask.shape == labels.shape
        assert mask.dtype == labels.dtype
        assert set(np.unique(mask)) <= set(np.unique(labels))
        changed += not np.array_equal(mask, labels)
    assert changed >= 4


@pytest.mark.parametrize("name", ["flip", "geometric", "elastic"])
def test_image_and_labels_move_together(name):
    for seed in range(6):
        image, mask = apply(augment.build(name), seed)
        inside = np.abs(image[..., 0].astype(int) - 50 * mask.astype(int)) < 25
        assert inside.mean() > 0.9  # the image is interpolated at borders, the labels are not


def test_none_has_no_transform():
    assert augment.build("none") is None


def test_transforms_of_one_sample_draw_independently():
    """Two coins in one pipeline: with a seed each of its own they would always agree."""
    pipeline = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)])
    seen = set()
    for seed in range(40):
        _, mask = apply(pipeline, seed)
        _, labels = picture()
        ways = [labels, labels[:, ::-1], labels[::-1], labels[::-1, ::-1]]
        seen.add(next(i for i, way in enumerate(ways) if np.array_equal(way, mask)))
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("whole", [True, False])
def test_a_serialised_pipeline_is_accepted(whole):
    written = A.to_dict(A.Compose([A.VerticalFlip(p=1.0)]))
    pipeline = augment.build(written if whole else written["transform"])
    _, mask = apply(pipeline, 0)
    assert np.array_equal(mask, picture()[1][::-1])


def test_a_single_serialised_transform_is_accepted():
    pipeline = augment.build(A.to_dict(A.VerticalFlip(p=1.0)))
    assert np.array_equal(apply(pipeline, 0)[1], picture()[1][::-1])


@pytest.mark.parametrize("spec", [{"transform": {"__class_fullname__": "os.system"}}, {"a": 1}])
def test_an_invalid_pipeline_is_refused(spec):
    with pytest.raises(UserError, match="not a serialised albumentations pipeline"):
        augment.build(spec)


@pytest.mark.parametrize("name", [name for name in BUILT_IN["augmentation"] if name != "none"])
@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_every_channel_of_16_bits_is_augmented_like_8_bits(name, channels):
    """Channels that are alike stay so; 12 bits in a span of 12 bits move as 8 bits do."""
    grey, mask = picture()
    grey = grey[..., :1]
    bits8 = np.repeat(grey, 3, axis=2)
    bits12 = np.repeat(grey.astype(np.uint16) * 16, channels, axis=2)
    for seed in range(3):
        found = []
        for image, span in ((bits8, (0, 255)), (bits12, (0, 4080))):
            pipeline = augment.build(name)
            pipeline.set_random_state(np.random.default_rng(seed), random.Random(seed))
            found.append(augmented(pipeline, {"image": image, "mask": mask}, span))
        eight, twelve = found
        np.testing.assert_array_equal(eight["mask"], twelve["mask"])
        assert twelve["image"].dtype == np.uint16
        assert twelve["image"].shape == bits12.shape
        for channel in range(channels):
            values = twelve["image"][..., channel] / 16
            away = np.abs(values - eight["image"][..., 0])
            assert away.max() <= 8  # OpenCV rounds positions to 1/32 pixel, of 8 bits at least
            assert away.mean() <= 0.7
