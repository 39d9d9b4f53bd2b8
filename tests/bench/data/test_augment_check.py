"""Own pipelines that do not take the images of a dataset are refused by the transform's name."""

import albumentations as A
import numpy as np
import pytest

from bench.data import augment_check
from bench.data.batches import BatchSettings
from bench.data.dataset import assemble, split_in_memory
from bench.errors import UserError


def of(channels, bits):
    image = np.random.default_rng(0).integers(0, 2**bits, (20, 24, channels)).astype(f"uint{bits}")
    split = split_in_memory({"a": (image, np.zeros((20, 24), np.uint8))}, "")
    colours = {"x": (0, 0, 0)}
    return assemble("d", colours, {"train": split}, in_channels=channels, bits=bits)


def check(transforms, dataset):
    spec = A.to_dict(A.Compose(transforms))
    augment_check.check(BatchSettings(augmentation=spec), "full_range", dataset)


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (3, 8), (4, 16), (7, 16)])
def test_what_takes_the_images_passes(channels, bits):
    choice = A.OneOf([A.GaussianBlur(p=0.1), A.Sequential([A.VerticalFlip(p=0.0)])], p=0.5)
    check([choice, A.RandomGamma(p=0.5)], of(channels, bits))


@pytest.mark.parametrize(
    ("transform", "channels", "bits", "message"),
    [
        (A.ToGray(p=0.01), 4, 8, "ToGray (takes no|makes other) images of 4 channels and 8 bits"),
        (A.CLAHE(p=0.0), 4, 16, "CLAHE takes no images of 4 channels and 16 bits"),
        (A.HueSaturationValue(p=0.5), 4, 16, "HueSaturationValue (takes|makes)"),
        (A.Normalize(), 3, 8, r"Normalize makes other images of 3 .* \(float32, 3 channels\)"),
    ],
)
def test_what_does_not_is_named(transform, channels, bits, message):
    with pytest.raises(UserError, match=f"train.augmentation: {message}"):
        check([A.VerticalFlip(), A.OneOf([transform, A.HorizontalFlip()])], of(channels, bits))


def test_named_pipelines_are_not_tried():
    augment_check.check(BatchSettings(augmentation="paper"), "full_range", of(4, 16))
