"""What is done to pixels and labels outside of the network: counting, warping, decoding."""

import albumentations as A
import cv2
import numpy as np
import torch
from torchmetrics.classification import MulticlassConfusionMatrix
from torchvision.transforms import v2

from bench.data.datasets import msrc_v2
from bench.data.files.palette import to_labels
from unet.elastic import ElasticDeformation
from unet.metrics import confusion_matrix


def test_confusion_matrix(race):
    generator = torch.Generator().manual_seed(0)
    prediction = torch.randint(22, (8, 192, 192), generator=generator)
    target = torch.randint(22, (8, 192, 192), generator=generator)
    target[torch.rand(target.shape, generator=generator) < 0.1] = 255
    # Ours looks for labels out of range, and so does theirs unless it is told not to.
    peer = MulticlassConfusionMatrix(22, ignore_index=255)
    unchecked = MulticlassConfusionMatrix(22, ignore_index=255, validate_args=False)
    assert torch.equal(peer(prediction, target), confusion_matrix(prediction, target, 22))
    seconds = race(
        {
            "ours": lambda: confusion_matrix(prediction, target, 22),
            "torchmetrics": lambda: peer(prediction, target),
            "torchmetrics without checks": lambda: unchecked(prediction, target),
        },
        rounds=25,
        inner=5,
    )
    assert seconds["torchmetrics"] >= 8 * seconds["ours"]


def test_elastic_deformation(race):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    mask = rng.integers(0, 22, (256, 256), dtype=np.uint8)
    ours = A.Compose([ElasticDeformation(p=1.0)], seed=0)
    theirs = A.Compose(
        [A.ElasticTransform(alpha=300, sigma=10, border_mode=cv2.BORDER_REFLECT_101, p=1.0)], seed=0
    )
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    torchvisions = v2.ElasticTransform(alpha=300.0, sigma=10.0)
    seconds = race(
        {
            "ours": lambda: ours(image=image, mask=mask),
            "albumentations": lambda: theirs(image=image, mask=mask),
            "torchvision (image alone)": lambda: torchvisions(tensor),
        },
        rounds=25,
    )
    assert seconds["albumentations"] >= 3.5 * seconds["ours"]


def by_loop(coloured, colours):
    """The study's way: compare the picture with one colour after the other."""
    labels = np.zeros(coloured.shape[:2], dtype=np.uint8)
    for label, colour in enumerate(colours):
        labels[(coloured == colour).all(axis=2)] = label
    return labels


def test_mask_decoding(race):
    colours = np.array([*msrc_v2._VOID.values(), *msrc_v2._CLASSES.values()], dtype=np.uint8)
    rng = np.random.default_rng(0)
    small = rng.integers(0, len(colours), (14, 20)).astype(np.uint8)
    coloured = colours[cv2.resize(small, (320, 213), interpolation=cv2.INTER_NEAREST)]
    table, meanings = msrc_v2._table("class"), [0, 0, 0, *range(1, len(msrc_v2._CLASSES) + 1)]
    expected = np.array(meanings, dtype=np.uint8)[by_loop(coloured, colours)]
    assert np.array_equal(to_labels(coloured, table, source="picture"), expected)
    seconds = race(
        {
            "ours": lambda: to_labels(coloured, table, source="picture"),
            "the study's loop": lambda: by_loop(coloured, colours),
        },
        rounds=25,
        inner=5,
    )
    assert seconds["the study's loop"] >= 40 * seconds["ours"]
