import math

import pytest
import torch
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
    multiclass_precision,
)

from unet.metrics import (
    CLASS_SCORES,
    SCORES,
    classes_averaged,
    confusion_matrix,
    dice,
    frequency_weighted_iou,
    iou,
    mean_class_accuracy,
    mean_iou,
    pixel_accuracy,
    precision,
    recall,
    soft_iou,
)

VOID = 255


def case(seed, *, classes=6, shape=(2, 7, 9), void=0.2):
    """Random labels and predictions; some classes absent from one, the other or both."""
    generator = torch.Generator().manual_seed(seed)
    here, there = (
        torch.randperm(classes, generator=generator)[: 1 + seed % classes] for _ in range(2)
    )
    target = here[torch.randint(len(here), shape, generator=generator)]
    prediction = there[torch.randint(len(there), shape, generator=generator)]
    right = torch.rand(shape, generator=generator) < 0.4
    prediction = torch.where(right, target, prediction)
    target = target.masked_fill(torch.rand(shape, generator=generator) < void, VOID)
    return prediction, target


# ------------------------------------------------------------------------- by hand

# Rows are the truth. Class 2 is never there but predicted, class 3 is neither.
MATRIX = torch.tensor([[3, 1, 0, 0], [2, 2, 2, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
NAN = math.nan


def test_counts_by_hand():
    target = torch.tensor([[0, 0, 0, 0, 1], [1, 1, 1, 1, 1], [VOID, VOID, VOID, VOID, VOID]])
    prediction = torch.tensor([[0, 0, 0, 1, 0], [0, 1, 1, 2, 2], [0, 1, 2, 3, 3]])
    matrix = confusion_matrix(prediction, target, 4)
    assert matrix.dtype == torch.int64
    assert torch.equal(matrix, MATRIX)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (iou, [3 / 6, 2 / 7, 0, NAN]),
        (dice, [6 / 9, 4 / 9, 0, NAN]),
        (precision, [3 / 5, 2 / 3, 0, NAN]),
        (recall, [3 / 4, 2 / 6, NAN, NAN]),
        (mean_iou, (3 / 6 + 2 / 7) / 3),
        (mean_class_accuracy, (3 / 4 + 2 / 6) / 2),
        (pixel_accuracy, 5 / 10),
        (frequency_weighted_iou, 0.4 * 3 / 6 + 0.6 * 2 / 7),
        (classes_averaged, 3),
    ],
)
def test_scores_by_hand(score, expected):
    result = score(MATRIX)
    assert result.dtype == (torch.int64 if score is classes_averaged else torch.float64)
    expected = torch.tensor(expected, dtype=result.dtype)
    torch.testing.assert_close(result, expected, rtol=1e-15, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", [*CLASS_SCORES, *SCORES])
def test_nothing_counted_is_undefined(name):
    result = {**CLASS_SCORES, **SCORES}[name](torch.zeros(3, 3, dtype=torch.int64))
    assert result.isnan().all()
    assert classes_averaged(torch.zeros(3, 3, dtype=torch.int64)) == 0


@pytest.mark.parametrize("name", [*CLASS_SCORES, *SCORES])
def test_perfect_is_one(name):
    result = {**CLASS_SCORES, **SCORES}[name](torch.diag(torch.tensor([5, 1, 9])))
    assert torch.equal(result, torch.ones_like(result))


@pytest.mark.parametrize("name", [*CLASS_SCORES, *SCORES])
def test_one_matrix_an_image(name):
    score = {**CLASS_SCORES, **SCORES}[name]
    matrices = torch.stack([confusion_matrix(*case(seed), 6) for seed in range(5)])
    expected = torch.stack([score(matrix) for matrix in matrices])
    torch.testing.assert_close(score(matrices), expected, rtol=1e-15, atol=0, equal_nan=True)


@pytest.mark.parametrize("score", [*CLASS_SCORES.values(), *SCORES.values(), classes_averaged])
def test_what_is_no_confusion_matrix_is_refused(score):
    with pytest.raises(ValueError, match=r"must be \(\.\.\., C, C\), not \(3, 4\)"):
        score(torch.zeros(3, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"not \(9,\)"):
        score(torch.zeros(9, dtype=torch.int64))


# ----------------------------------------------------------- against another library


@pytest.mark.parametrize("block", range(10))
def test_agrees_with_torchmetrics(block):
    """Its macro mean, too, is over the classes that occur in truth or prediction."""
    for seed in range(100 * block, 100 * block + 100):
        classes = 2 + seed % 21
        prediction, target = case(
            seed,
            classes=classes,
            shape=(1 + seed % 3, 1 + seed % 17, 3 + 2 * (seed % 5)),
            void=(0.0, 0.1, 0.9)[seed % 3],
        )
        if not (target != VOID).any():
            continue
        settings = {"num_classes": classes, "ignore_index": VOID, "validate_args": False}
        matrix = confusion_matrix(prediction, target, classes)
        expected = multiclass_confusion_matrix(prediction, target, **settings)
        assert torch.equal(matrix, expected), seed
        expected = multiclass_jaccard_index(prediction, target, average="macro", **settings)
        assert mean_iou(matrix).item() == pytest.approx(expected.item(), abs=1e-6), seed
        accuracy = multiclass_accuracy(prediction, target, average="micro", **settings)
        assert pixel_accuracy(matrix).item() == pytest.approx(accuracy.item(), abs=1e-6), seed
        for ours, theirs in (
            (recall, multiclass_accuracy),
            (precision, multiclass_precision),
            (dice, multiclass_f1_score),
            (iou, multiclass_jaccard_index),
        ):
            expected = theirs(prediction, target, average="none", **settings).double()
            result = ours(matrix).nan_to_num()  # it says 0 where a score is undefined
            torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


# ------------------------------------------------------------------------ properties


def test_batches_and_order_do_not_matter():
    prediction, target = case(5, shape=(12, 5, 6))
    whole = confusion_matrix(prediction, target, 6)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    for size in (1, 5, 12):
        parts = zip(prediction[order].split(size), target[order].split(size), strict=True)
        assert torch.equal(sum(confusion_matrix(p, t, 6) for p, t in parts), whole)
    assert torch.equal(confusion_matrix(prediction.flatten(), target.flatten(), 6), whole)
    assert whole.sum() == (target != VOID).sum()


def test_exact_where_float32_is_not():
    """Above 2**24 pixels float32 can no longer add one."""
    row = torch.zeros(1, dtype=torch.uint8)
    target = row.expand(2**12 + 1, 2**12)
    matrix = confusion_matrix(row.expand_as(target), target, 2)
    matrix += confusion_matrix(torch.tensor([1, 1]), torch.tensor([0, 1]), 2)
    assert matrix.tolist() == [[2**24 + 2**12, 1], [0, 1]]
    assert pixel_accuracy(matrix).item() == (2**24 + 2**12 + 1) / (2**24 + 2**12 + 2)
    assert recall(matrix)[0].item() == (2**24 + 2**12) / (2**24 + 2**12 + 1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_integer_types_are_alike(dtype):
    """200 classes: a product of two labels would overflow uint8 and int16."""
    prediction, target = case(11, classes=200, shape=(4, 30, 40))
    expected = confusion_matrix(prediction, target, 200)
    assert expected.sum() == (target != VOID).sum()
    if dtype != torch.int64:
        prediction, target = prediction.to(torch.uint8).to(dtype), target.to(dtype)
    assert torch.equal(confusion_matrix(prediction, target, 200), expected)


def test_booleans_are_two_classes():
    target, prediction = torch.tensor([True, False, True]), torch.tensor([True, True, False])
    assert confusion_matrix(prediction, target, 2).tolist() == [[0, 1], [1, 1]]


@pytest.mark.parametrize("ignore_index", [VOID, -1, 0, 3])
def test_void_is_decided_by_the_truth_alone(ignore_index):
    target = torch.tensor([[1, 2, ignore_index, ignore_index], [2, 1, 1, ignore_index]])
    prediction = torch.tensor([[1, 2, 1, 0], [1, 1, 2, 2]])
    expected = torch.zeros(3, 3, dtype=torch.int64)
    expected[1:, 1:] = torch.tensor([[2, 1], [1, 1]])
    assert torch.equal(confusion_matrix(prediction, target, 3, ignore_index), expected)
    for anything in (-7, 3, VOID, 2**40):
        prediction = prediction.masked_fill(target == ignore_index, anything)
        assert torch.equal(confusion_matrix(prediction, target, 3, ignore_index), expected)


def test_nothing_to_count():
    empty = torch.zeros(0, 4, 4, dtype=torch.int64)
    assert confusion_matrix(empty, empty, 3).tolist() == [[0, 0, 0]] * 3
    void = torch.full((4, 4), VOID)
    assert confusion_matrix(torch.zeros_like(void), void, 3).sum() == 0


# -------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("which", ["prediction", "target"])
@pytest.mark.parametrize("label", [3, 254, 2**40, -1])
def test_labels_out_of_range_are_refused(which, label):
    labels = {name: torch.tensor([[0, 1], [2, 0]]) for name in ("prediction", "target")}
    labels["target"][0, 1] = VOID
    labels[which][1, 1] = label
    with pytest.raises(ValueError, match=f"^{which} holds {label}, which is none of 3 classes$"):
        confusion_matrix(**labels, num_classes=3)


def test_void_in_the_prediction_is_out_of_range_where_the_truth_is_not_void():
    with pytest.raises(ValueError, match="prediction holds 255"):
        confusion_matrix(torch.tensor([VOID]), torch.tensor([0]), 3)


def test_shapes_and_types_that_do_not_fit_are_refused():
    labels = torch.zeros(2, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"same shape, not \(3, 2\) and \(2, 3\)"):
        confusion_matrix(labels.T, labels, 3)
    with pytest.raises(ValueError, match=r"prediction must hold integers, not torch\.float32"):
        confusion_matrix(labels.float(), labels, 3)
    with pytest.raises(ValueError, match=r"target must hold integers, not torch\.float64"):
        confusion_matrix(labels, labels.double(), 3)


# ---------------------------------------------------------------------- the soft score


def slow_soft_iou(logits, target, smooth):
    """Pixel by pixel, in Python floats."""
    classes = logits.shape[1]
    overlap, predicted, truth = ([0.0] * classes for _ in range(3))
    pixels = logits.movedim(1, 3).reshape(-1, classes).tolist()
    for values, label in zip(pixels, target.flatten().tolist(), strict=True):
        if label == VOID:
            continue
        exponentials = [math.exp(value) for value in values]
        for c in range(classes):
            p = exponentials[c] / sum(exponentials)
            predicted[c] += p
            truth[c] += c == label
            overlap[c] += p * (c == label)
    return [
        (i + smooth) / (p + t - i + smooth)
        for i, p, t in zip(overlap, predicted, truth, strict=True)
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("void", [0.0, 0.3])
@pytest.mark.parametrize("smooth", [1e-5, 1.0])
def test_soft_iou_agrees_with_the_slow_one(dtype, void, smooth):
    logits = 3 * torch.randn(3, 6, 5, 7, generator=torch.Generator().manual_seed(1), dtype=dtype)
    _, target = case(3, shape=(3, 5, 7), void=void)
    result = soft_iou(logits.requires_grad_(), target, smooth)
    assert result.dtype == dtype
    assert not result.requires_grad
    expected = torch.tensor(slow_soft_iou(logits.detach(), target, smooth), dtype=dtype)
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-6)


def test_soft_iou_of_hard_predictions_is_iou_but_for_absent_classes():
    prediction, target = case(2)
    logits = 1e4 * torch.nn.functional.one_hot(prediction, 6).movedim(-1, 1).double()
    hard = iou(confusion_matrix(prediction, target, 6))
    assert hard.isnan().any()
    result = soft_iou(logits, target, smooth=1e-12)
    torch.testing.assert_close(result, hard.nan_to_num(nan=1.0))


def test_soft_iou_ignores_what_it_is_told_to():
    logits = torch.randn(1, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    _, target = case(5, classes=4, shape=(1, 5, 6), void=0.0)
    kept = soft_iou(logits[..., :3], target[..., :3])
    for void in (VOID, -1):
        target[..., 3:] = void
        torch.testing.assert_close(soft_iou(logits, target, ignore_index=void), kept)
    with pytest.raises(ValueError, match="target holds -1"):
        soft_iou(logits, target)
