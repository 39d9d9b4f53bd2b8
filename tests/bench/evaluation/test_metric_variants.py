"""Each variant against the library that defines it, or against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch

from bench.evaluation.counts import ImageCounts, confusion_json, soft_json
from bench.evaluation.metric_variants import (
    VARIANTS,
    classes_averaged,
    scores,
    study_absent,
    study_present,
)
from bench.store.details import Details
from bench.store.image_counts import pack
from unet import metrics
from unet.overlap import class_sums

CLASSES = 8


def made_up(seed, *, images=3, size=(7, 9)):
    """Logits and labels with void: most classes absent from an image, the last two from all.

    Those two are ruled out, so that they get no probability; so are some that are there.
    """
    rng = np.random.default_rng(seed)
    target = np.stack(
        [rng.choice(CLASSES - 2, 3, replace=False)[rng.integers(0, 3, size)] for _ in range(images)]
    )
    target[rng.random(target.shape) < 0.1] = 255
    ruled_out = rng.random((images, CLASSES, 1, 1)) < 0.3
    ruled_out[:, -2:] = True
    logits = 3 * rng.standard_normal((images, CLASSES, *size)) - 60.0 * ruled_out
    return torch.from_numpy(logits), torch.from_numpy(target)


def collect(logits, target, **options):
    classes = logits.shape[1]
    sums = class_sums(logits, target)
    matrices = [
        metrics.confusion_matrix(p, t, classes)
        for p, t in zip(logits.argmax(1), target, strict=True)
    ]
    names = tuple(f"{i}" for i in range(len(logits)))
    soft = (part.double().numpy() for part in (sums.intersection, sums.predicted))
    found = ImageCounts(names, torch.stack(matrices).numpy(), *soft, **options)
    assert (found.truth == sums.truth.numpy()).all()
    return found


def hard(matrices, **options):
    """ImageCounts of confusion matrices, with one-hot probabilities."""
    matrices = np.array(matrices)
    intersection, predicted = matrices.diagonal(0, 1, 2), matrices.sum(1)
    names = tuple(map(str, range(len(matrices))))
    soft = (part.astype(float) for part in (intersection, predicted))
    return ImageCounts(names, matrices, *soft, **options)


# Two images, three classes. In the first, 6 pixels of class 0 and 2 of class 1, of which one is
# taken for 0; in the second, 4 pixels of class 1, all found. Class 2 is nowhere.
TWO = [[[6, 0, 0], [1, 1, 0], [0, 0, 0]], [[0, 0, 0], [0, 4, 0], [0, 0, 0]]]
BY_HAND = {
    "dataset": (6 / 7 + 5 / 6) / 2,
    "study": (6 / 7 + 5 / 6 + 1) / 3,  # one batch of both, in which 2 is absent
    "imagewise": ((6 / 7 + 1 / 2) / 2 + 1) / 2,
    "smp_macro_imagewise": ((6 / 7 + 1 / 2 + 1) / 3 + 1) / 2,
    "torchmetrics_macro": (6 / 7 + 5 / 6) / 2,
    "milesial_dice": (2 / 3 + 1 + 1 + 1) / 4,  # classes 1 and 2 of each image
    "mmseg": (6 / 7 + 5 / 6) / 2,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_by_hand(name):
    assert VARIANTS[name].score(hard(TWO)) == pytest.approx(BY_HAND[name], abs=1e-5)


def test_parts_of_the_study_by_hand():
    assert study_absent(hard(TWO)) == pytest.approx(1 / 3)
    alone = hard(TWO, batch_size=1)  # 2 is absent from the first; 0 and 2 from the second
    assert study_absent(alone) == pytest.approx((1 / 3 + 2 / 3) / 2, abs=1e-5)
    assert study_present(alone) == pytest.approx(((6 / 7 + 1 / 2) / 3 + 1 / 3) / 2, abs=1e-5)
    assert classes_averaged(alone) == 2


def test_a_batch_left_over_counts_as_one():
    three = hard([*TWO, TWO[0]], batch_size=2)
    first, last = hard(TWO, batch_size=2), hard([TWO[0]])
    expected = (VARIANTS["study"].score(first) + VARIANTS["study"].score(last)) / 2
    assert VARIANTS["study"].score(three) == pytest.approx(expected)


@pytest.mark.parametrize("case", range(8))
def test_dataset_against_the_library_of_this_project(case):
    counts = collect(*made_up(case))
    total = torch.from_numpy(counts.matrices.sum(0))
    assert scores(counts)["dataset"] == pytest.approx(float(metrics.mean_iou(total)))
    assert classes_averaged(counts) == metrics.classes_averaged(total)


@pytest.mark.parametrize("case", range(8))
@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_study_against_the_original_study(case, batch_size):
    logits, target = made_up(case, images=4)
    starts = range(0, 4, batch_size)
    batches = [(logits[i : i + batch_size], target[i : i + batch_size]) for i in starts]
    expected = torch.stack([study_listing(*batch).mean() for batch in batches]).mean()
    counts = collect(logits, target, batch_size=batch_size)
    assert scores(counts)["study"] == pytest.approx(float(expected), abs=1e-6)
    assert study_absent(counts) >= 2 / CLASSES - 1e-6  # the part that misleads is put to the test
    assert study_absent(counts) + study_present(counts) == pytest.approx(float(expected))


def study_listing(logits, target):
    """Soft IoU by class, from one-hot tensors."""
    counted = (target != 255).unsqueeze(1)
    one_hot = torch.nn.functional.one_hot(target.where(target != 255, 0), logits.shape[1])
    truth = one_hot.movedim(-1, 1).double() * counted
    probability = logits.double().softmax(1) * counted
    inside = (truth * probability).sum((0, 2, 3))
    return (inside + 1e-5) / ((truth + probability).sum((0, 2, 3)) - inside + 1e-5)


@pytest.mark.parametrize("case", range(8))
def test_imagewise_against_one_dataset_an_image(case):
    counts = collect(*made_up(case))
    each = [float(metrics.mean_iou(torch.from_numpy(matrix))) for matrix in counts.matrices]
    assert scores(counts)["imagewise"] == pytest.approx(np.mean(each))


@pytest.mark.parametrize("case", range(8))
def test_smp(case):
    smp_metrics = pytest.importorskip("segmentation_models_pytorch").metrics
    logits, target = made_up(case)
    counts = smp_metrics.get_stats(
        logits.argmax(1), target, mode="multiclass", ignore_index=255, num_classes=CLASSES
    )
    expected = smp_metrics.iou_score(*counts, reduction="macro-imagewise")
    found = scores(collect(logits, target))["smp_macro_imagewise"]
    assert found == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("case", range(8))
def test_torchmetrics(case):
    classification = pytest.importorskip("torchmetrics.classification")
    logits, target = made_up(case)
    peer = classification.MulticlassJaccardIndex(CLASSES, average="macro", ignore_index=255)
    expected = float(peer(logits.argmax(1), target))
    found = scores(collect(logits, target))["torchmetrics_macro"]
    assert found == pytest.approx(expected, abs=1e-6)


def test_mmseg_loses_pixels_above_two_to_the_24():
    many, found, missed = [[2**24, 0], [0, 1]], [[1, 0], [0, 0]], [[0, 1], [0, 0]]
    counts = hard([many] + [found] * 3000 + [missed] * 5000)
    # In float32 none of the 8000 single pixels of class 0 is added, to neither sum.
    rare = 1 / 5001
    assert VARIANTS["mmseg"].score(counts) == pytest.approx((1 + rare) / 2, abs=1e-7)
    exact = (2**24 + 3000) / (2**24 + 8000)
    assert VARIANTS["dataset"].score(counts) == pytest.approx((exact + rare) / 2, rel=1e-12)


@pytest.mark.parametrize("name", VARIANTS)
def test_who_rewards_an_absent_class(name):
    """A class more, which nobody has and nobody predicts, raises the score, or leaves it."""
    wider = [np.pad(matrix, (0, 1)) for matrix in TWO]
    before, after = (VARIANTS[name].score(hard(matrices)) for matrices in (TWO, wider))
    if VARIANTS[name].rewards_absent:
        assert after > before + 0.01
    else:
        assert after == pytest.approx(before)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_order_of_images_matters_to_the_study_alone(name):
    logits, target = made_up(3, images=6)
    turned = [0, 2, 4, 1, 3, 5]
    before = VARIANTS[name].score(collect(logits, target))
    after = VARIANTS[name].score(collect(logits[turned], target[turned]))
    assert (after == pytest.approx(before, abs=1e-7)) == (name != "study")


@pytest.mark.parametrize("name", VARIANTS)
def test_an_image_of_nothing_but_void_is_no_error(name):
    nothing = np.zeros((3, 3), dtype=np.int64)
    assert 0 <= VARIANTS[name].score(hard([*TWO, nothing])) <= 1
    alone = VARIANTS[name].score(hard([nothing]))
    assert alone == 1 if VARIANTS[name].rewards_absent else math.isnan(alone)


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_stored_gives_the_same_scores(name):
    counts = collect(*made_up(1))
    details = Details(confusion=confusion_json(counts), soft=soft_json(counts))
    stored = pack(details, CLASSES)
    again = ImageCounts(stored.names, stored.matrices(), *stored.soft)
    score = VARIANTS[name].score
    assert score(again) == pytest.approx(score(counts), abs=1e-7)
    assert again.names == counts.names


def test_counts_that_do_not_fit_are_refused():
    good = hard(TWO)
    parts = (good.names, good.matrices, good.intersection, good.predicted)
    with pytest.raises(ValueError, match="do not fit"):
        ImageCounts(good.names[:1], *parts[1:])
    with pytest.raises(ValueError, match="do not fit"):
        ImageCounts(*parts[:-1], good.predicted[:, :2])
    with pytest.raises(ValueError, match="batch_size"):
        ImageCounts(*parts, batch_size=0)
