import math

import pytest
import torch

from unet.losses import (
    CrossEntropyLoss,
    DiceCELoss,
    DiceImageLoss,
    DiceLoss,
    DicePooledLoss,
    DicePresentLoss,
    PixelWeightedCrossEntropyLoss,
    class_sums,
)

VOID = 255
LOSSES = {
    "ce": CrossEntropyLoss,
    "weighted_ce": PixelWeightedCrossEntropyLoss,
    "dice": DiceLoss,
    "dice_image": DiceImageLoss,
    "dice_present": DicePresentLoss,
    "dice_pooled": DicePooledLoss,
    "dice+ce": DiceCELoss,
}


def pixel_weighted(ignore_index=VOID):
    """The weighted loss under the contract of the others, weights taken from the labels."""
    loss = PixelWeightedCrossEntropyLoss(ignore_index=ignore_index)
    return lambda logits, target: loss(logits, target, 1.0 + target % 3)


EVERY = {**LOSSES, "pixel-weighted ce": pixel_weighted}
every_loss = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY.keys())


def case(seed=0, *, n=2, classes=4, height=5, width=7, void=0.3, dtype=torch.float64, scale=2.0):
    generator = torch.Generator().manual_seed(seed)
    shape = (n, height, width)
    logits = scale * torch.randn(n, classes, height, width, generator=generator, dtype=dtype)
    target = torch.randint(0, classes, shape, generator=generator)
    target[torch.rand(shape, generator=generator) < void] = VOID
    return logits.requires_grad_(), target


def value_and_gradient(loss, logits, target):
    logits = logits.detach().clone().requires_grad_()
    value = loss(logits, target)
    value.backward()
    return value.detach(), logits.grad


# ------------------------------------------------------- references, one pixel after another


def probabilities(logits):
    """Yield (image, row, column, softmax), each pixel's logits read out as Python floats."""
    n, classes, height, width = logits.shape
    values = logits.tolist()
    for i in range(n):
        for y in range(height):
            for x in range(width):
                exponentials = [math.exp(values[i][c][y][x]) for c in range(classes)]
                yield i, y, x, [e / sum(exponentials) for e in exponentials]


def reference_ce(logits, target, weight=None):
    total, number = 0.0, 0
    for i, y, x, p in probabilities(logits):
        label = int(target[i, y, x])
        if label != VOID:
            total -= math.log(p[label]) * (1.0 if weight is None else float(weight[i, y, x]))
            number += 1
    return total / number


def reference_counts(logits, target):
    """Return tp, fn, fp of every image and class, in probability."""
    n, classes = logits.shape[:2]
    tp, fn, fp = (torch.zeros(n, classes, dtype=torch.float64) for _ in range(3))
    for i, y, x, p in probabilities(logits):
        label = int(target[i, y, x])
        if label == VOID:
            continue
        for c in range(classes):
            if c == label:
                tp[i, c] += p[c]
                fn[i, c] += 1 - p[c]
            else:
                fp[i, c] += p[c]
    return tp, fn, fp


def reference_score(tp, fn, fp, beta=1.0, smooth=1e-5):
    b = beta**2
    return ((1 + b) * tp + smooth) / ((1 + b) * tp + b * fn + fp + smooth)


def reference_dice(logits, target, beta=1.0, smooth=1e-5):
    totals = (part.sum(0).tolist() for part in reference_counts(logits, target))
    scores = [reference_score(*parts, beta, smooth) for parts in zip(*totals, strict=True)]
    return 1 - sum(scores) / len(scores)


def reference_dice_image(logits, target, beta=1.0, smooth=1e-5):
    images = [i for i in range(len(target)) if (target[i] != VOID).any()]
    ones = (slice(i, i + 1) for i in images)
    losses = [reference_dice(logits[one], target[one], beta, smooth) for one in ones]
    return sum(losses) / len(losses)


def reference_dice_present(logits, target, beta=1.0, smooth=1e-5):
    tp, fn, fp = (part.sum(0).tolist() for part in reference_counts(logits, target))
    present = [label for label in target.unique().tolist() if label != VOID]
    scores = [reference_score(tp[c], fn[c], fp[c], beta, smooth) for c in present]
    return 1 - sum(scores) / len(scores)


def milesial_dice(logits, target, smooth=1e-6):
    """Dice of one flat pair: every class's map of every image laid end to end."""
    valid = target != VOID
    p = logits.softmax(1).movedim(1, 3)[valid].flatten()
    t = torch.nn.functional.one_hot(target[valid], logits.shape[1]).flatten()
    return 1 - ((2 * p @ t.to(p) + smooth) / (p.sum() + t.sum() + smooth)).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_slow_references(seed, dtype):
    logits, target = case(seed, dtype=dtype)
    target[target == 3] = seed  # class 3 is absent
    ce, dice = reference_ce(logits, target), reference_dice(logits, target)
    expected = {
        "ce": ce,
        "weighted_ce": ce,  # no weights given
        "dice": dice,
        "dice_image": reference_dice_image(logits, target),
        "dice_present": reference_dice_present(logits, target),
        "dice_pooled": milesial_dice(logits, target),
        "dice+ce": dice + ce,
    }
    for name, loss in LOSSES.items():
        assert loss()(logits, target).item() == pytest.approx(expected[name], abs=1e-6), name

    weight = torch.rand(target.shape, generator=torch.Generator().manual_seed(seed)) * 10
    result = PixelWeightedCrossEntropyLoss()(logits, target, weight)
    assert result.item() == pytest.approx(reference_ce(logits, target, weight), abs=1e-6)

    dice = reference_dice(logits, target, beta=2.0, smooth=0.5)
    assert DiceLoss(2.0, 0.5)(logits, target).item() == pytest.approx(dice, abs=1e-6)
    both = DiceCELoss(2.0, 0.5, dice_weight=0.25, ce_weight=3.0)
    assert both(logits, target).item() == pytest.approx(0.25 * dice + 3 * ce, abs=3e-6)
    for loss, reference in (
        (DiceImageLoss, reference_dice_image),
        (DicePresentLoss, reference_dice_present),
    ):
        result = loss(2.0, 0.5)(logits, target).item()
        assert result == pytest.approx(reference(logits, target, 2.0, 0.5), abs=1e-6)
    expected = milesial_dice(logits, target, smooth=3.0)
    assert DicePooledLoss(3.0)(logits, target).item() == pytest.approx(expected, abs=1e-6)


def one_hot_dice(logits, target, smooth=1e-5):
    valid = (target != VOID).unsqueeze(1)
    p = logits.softmax(1) * valid
    t = torch.nn.functional.one_hot(target * valid[:, 0], logits.shape[1]).movedim(3, 1) * valid
    overlap, total = (p * t).sum((0, 2, 3)), (p + t).sum((0, 2, 3))
    return 1 - ((2 * overlap + smooth) / (total + smooth)).mean()


def test_float32_stays_exact_over_many_pixels():
    """A running sum in float32 over these half million pixels would be off by more than 1e-6."""
    logits, target = case(classes=3, n=2, height=512, width=512, void=0.1)
    expected, gradient = value_and_gradient(one_hot_dice, logits, target)
    value, result = value_and_gradient(DiceLoss(), logits.float(), target)
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    torch.testing.assert_close(result.double(), gradient, rtol=1e-4, atol=1e-6 * gradient.max())
    counted = target != VOID
    likelihood = logits.log_softmax(1).gather(1, (target * counted).unsqueeze(1))[:, 0]
    expected = -likelihood[counted].mean().item()
    assert CrossEntropyLoss()(logits.float(), target).item() == pytest.approx(expected, abs=1e-6)


def test_computed_by_hand():
    # Probabilities (3/4, 1/4) and (1/2, 1/2); the first pixel is of class 0, the second of 1.
    logits = torch.tensor([[math.log(3), 0.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)
    target = torch.tensor([[[0, 1]]])
    ce = (math.log(4 / 3) + math.log(2)) / 2
    assert CrossEntropyLoss()(logits, target).item() == pytest.approx(ce)
    # Class 0: tp 3/4, fn 1/4, fp 1/2. Class 1: tp 1/2, fn 1/2, fp 1/4.
    dice = 1 - (2.5 / 3.25 + 2 / 2.75) / 2
    assert DiceLoss(smooth=1.0)(logits, target).item() == pytest.approx(dice)
    assert DiceCELoss(smooth=1.0)(logits, target).item() == pytest.approx(dice + ce)
    assert DiceLoss(beta=2.0, smooth=1.0)(logits, target).item() == pytest.approx(
        1 - (4.75 / 6.25 + 3.5 / 5.75) / 2
    )
    # Pooled: (2 (3/4 + 1/2) + 1) of (2 + 2 + 1).
    assert DicePooledLoss(smooth=1.0)(logits, target).item() == pytest.approx(1 - 3.5 / 5)
    weight = torch.tensor([[[10.0, 1.0]]])
    weighted = PixelWeightedCrossEntropyLoss()(logits, target, weight)
    assert weighted.item() == pytest.approx((10 * math.log(4 / 3) + math.log(2)) / 2)


def test_dice_variants_by_hand():
    """Two images of two pixels and three classes; class 2 occurs nowhere, 1 in one image."""
    p = torch.tensor([[[0.5, 0.25, 0.25], [0.5, 0.5, 0.0]], [[1.0, 0.0, 0.0], [0.75, 0.0, 0.25]]])
    logits = p.log().movedim(2, 1).unsqueeze(2)
    target = torch.tensor([[[0, 1]], [[0, 0]]])
    # 2 intersection + s over predicted + truth + s, with s = 1; first image, second image, both.
    first = (2 / 3, 2 / 2.75, 1 / 1.25)
    second = (4.5 / 4.75, 1.0, 1 / 1.25)
    both = (5.5 / 6.75, 2 / 2.75, 1 / 1.5)
    expected = {
        DiceLoss: 1 - sum(both) / 3,
        DiceImageLoss: 1 - sum(first + second) / 6,
        DicePresentLoss: 1 - sum(both[:2]) / 2,
        DicePooledLoss: 1 - (2 * 2.75 + 1) / (4 + 4 + 1),
    }
    for loss, value in expected.items():
        assert loss(smooth=1.0)(logits, target).item() == pytest.approx(value), loss


def test_pooled_dice_is_one_minus_the_mean_probability_of_the_true_class():
    logits, target = case(void=0.0)
    p = logits.softmax(1).gather(1, target.unsqueeze(1))
    assert DicePooledLoss()(logits, target).item() == pytest.approx(1 - p.mean().item(), abs=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_class_weights_are_those_of_torch(dtype):
    logits, target = case(dtype=dtype)
    weights = [1.0, 0.0, 2.5, 0.3]
    expected, gradient = value_and_gradient(
        torch.nn.CrossEntropyLoss(torch.tensor(weights, dtype=dtype), ignore_index=VOID),
        logits,
        target,
    )
    value, found = value_and_gradient(CrossEntropyLoss(weights), logits, target)
    assert value.dtype == dtype
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(found, gradient)


def test_where_no_class_has_a_weight_the_loss_is_zero():
    logits, target = case(void=0.0)
    value, gradient = value_and_gradient(
        CrossEntropyLoss([0.0, 0.0, 0.0, 1.0]), logits, torch.zeros_like(target)
    )
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("weights", [[], [0.0, 0.0], [1.0, -0.5]])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be 0 or more, and one above 0"):
        CrossEntropyLoss(weights)


def test_weights_of_other_classes_are_refused():
    logits, target = case()
    with pytest.raises(ValueError, match="3 weights for 4 classes"):
        CrossEntropyLoss([1.0, 1.0, 1.0])(logits, target)


def test_an_image_without_a_pixel_that_counts_changes_nothing():
    logits, target = case()
    more = torch.cat([logits, torch.ones(1, 4, 5, 7, dtype=logits.dtype)])
    labels = torch.cat([target, torch.full((1, 5, 7), VOID)])
    for make in LOSSES.values():
        torch.testing.assert_close(make()(more, labels), make()(logits, target))


def test_one_image_and_every_class_make_variants_of_dice_the_same():
    logits, target = case(n=1, void=0.0)
    value = DiceLoss()(logits, target)
    torch.testing.assert_close(DiceImageLoss()(logits, target), value)
    torch.testing.assert_close(DicePresentLoss()(logits, target), value)


def test_class_sums_by_hand():
    logits = torch.tensor([[math.log(3), 0.0, 5.0], [0.0, 0.0, 5.0]]).reshape(1, 2, 1, 3)
    sums = class_sums(logits, torch.tensor([[[0, 1, VOID]]]))
    torch.testing.assert_close(sums.log_likelihood.exp(), torch.tensor([[[0.75, 0.5, 1.0]]]))
    torch.testing.assert_close(sums.intersection, torch.tensor([[0.75, 0.5]]))
    torch.testing.assert_close(sums.predicted, torch.tensor([[1.25, 0.75]]))
    assert torch.equal(sums.truth, torch.tensor([[1.0, 1.0]]))


# -------------------------------------------------------------- the contract of every loss


@every_loss
@pytest.mark.parametrize("void", [0.0, 0.4])
def test_gradient(make, void):
    logits, target = case(seed=5, classes=3, height=3, width=4, void=void)
    assert torch.autograd.gradcheck(lambda x: make()(x, target), logits)


def test_gradient_with_other_settings():
    logits, target = case(seed=6, classes=3, height=3, width=4)
    loss = DiceCELoss(2.0, 0.5, dice_weight=0.3, ce_weight=2.0)
    assert torch.autograd.gradcheck(lambda x: loss(x, target), logits)
    weight = torch.rand(target.shape, dtype=torch.float64, requires_grad=True)
    weighted = PixelWeightedCrossEntropyLoss()
    assert torch.autograd.gradcheck(lambda x, w: weighted(x, target, w), (logits, weight))


def test_second_derivative_is_refused_instead_of_wrong():
    logits, target = case()
    (gradient,) = torch.autograd.grad(DiceLoss()(logits, target), logits, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@every_loss
@pytest.mark.parametrize("extreme", [-1e30, 7.0, 3e38])
@pytest.mark.parametrize("ignore_index", [VOID, -1, 2])
def test_ignored_pixels_change_nothing(make, extreme, ignore_index):
    """Neither a value nor a gradient moves with logits there, and their own gradient is 0."""
    logits, target = case(dtype=torch.float32)
    ignored = target == VOID
    target = target.masked_fill(target == ignore_index, 0).masked_fill(ignored, ignore_index)
    loss = make(ignore_index=ignore_index)
    value, gradient = value_and_gradient(loss, logits, target)
    with torch.no_grad():
        changed = logits.clone()
        changed[:, 1] = changed[:, 1].masked_fill(ignored, extreme)
        changed[:, 3] = changed[:, 3].masked_fill(ignored, -extreme)
    new_value, new_gradient = value_and_gradient(loss, changed, target)
    assert torch.equal(new_value, value)
    assert torch.equal(new_gradient, gradient)
    assert gradient.movedim(1, 3)[ignored].abs().max() == 0
    assert gradient.movedim(1, 3)[~ignored].abs().min() > 0


@every_loss
def test_ignoring_is_the_same_as_leaving_out(make):
    logits, target = case(height=6, width=8)
    target[:] = target.clamp(max=3)
    padded = torch.nn.functional.pad(logits, [1, 2, 3, 0], value=9.0)
    labels = torch.nn.functional.pad(target, [1, 2, 3, 0], value=VOID)
    torch.testing.assert_close(make()(padded, labels), make()(logits, target), rtol=1e-12, atol=0)


@every_loss
def test_all_ignored_is_zero(make):
    logits, target = case(dtype=torch.float32)
    value, gradient = value_and_gradient(make(), logits, torch.full_like(target, VOID))
    assert value == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


@every_loss
def test_no_images_is_zero(make):
    assert make()(torch.zeros(0, 3, 4, 4), torch.zeros(0, 4, 4, dtype=torch.int64)) == 0


@every_loss
@pytest.mark.parametrize("label", [4, 254, -1])
def test_label_out_of_range_is_refused(make, label):
    logits, target = case()
    target[1, 2, 3] = label
    with pytest.raises(ValueError, match=f"target holds {label}, which is none of 4 classes"):
        make()(logits, target)


@every_loss
def test_shapes_and_types_that_do_not_fit_are_refused(make):
    logits, target = case()
    with pytest.raises(ValueError, match=r"not \(2, 4, 5, 7\) and \(2, 5, 6\)"):
        make()(logits, target[:, :, 1:])
    with pytest.raises(ValueError, match=r"target \(N, H, W\), not"):
        make()(logits, target.unsqueeze(1))
    with pytest.raises(ValueError, match=r"not \(4, 5, 7\) and \(5, 7\)"):
        make()(logits[0], target[0])
    with pytest.raises(ValueError, match=r"target must be int64, not torch\.uint8"):
        make()(logits, target.to(torch.uint8))


@every_loss
def test_order_of_images_does_not_matter(make):
    logits, target = case(n=5)
    order = torch.tensor([3, 0, 4, 1, 2])
    value, gradient = value_and_gradient(make(), logits, target)
    again, shuffled = value_and_gradient(make(), logits[order], target[order])
    torch.testing.assert_close(again, value, rtol=1e-12, atol=0)
    torch.testing.assert_close(shuffled, gradient[order], rtol=1e-9, atol=1e-12)


@every_loss
def test_classes_have_no_rank(make):
    logits, target = case(void=0.0)
    order = torch.tensor([2, 0, 3, 1])
    if make is pixel_weighted:  # its weights here are made from the labels
        target = torch.where(target == 3, 0, target)
        order = torch.arange(4)
    value = make()(logits, target)
    renamed = make()(logits[:, order], order.argsort()[target])
    torch.testing.assert_close(renamed, value, rtol=1e-12, atol=0)


@every_loss
def test_memory_format_does_not_matter(make):
    logits, target = case(dtype=torch.float32)
    value, gradient = value_and_gradient(make(), logits, target)
    last = logits.detach().to(memory_format=torch.channels_last)
    again, other = value_and_gradient(make(), last, target)
    torch.testing.assert_close(again, value)
    torch.testing.assert_close(other, gradient)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_and_autocast_compute_in_float32(make, dtype):
    logits, target = case(dtype=torch.float32)
    low = logits.detach().to(dtype)
    expected, gradient = value_and_gradient(make(), low.float(), target)

    def under_autocast(x, t):
        with torch.autocast("cpu", torch.bfloat16):
            return make()(x, t)

    for loss in (make(), under_autocast):
        value, result = value_and_gradient(loss, low, target)
        assert value.dtype == torch.float32
        assert torch.equal(value, expected)
        assert torch.equal(result, gradient.to(dtype))
    value, result = value_and_gradient(under_autocast, low.float(), target)
    assert torch.equal(value, expected)
    assert torch.equal(result, gradient)


@every_loss
def test_float64_stays_float64(make):
    logits, target = case()
    assert make()(logits, target).dtype == torch.float64


@every_loss
def test_keeps_no_more_than_one_tensor_of_the_logits_size(make):
    """A one-hot target, or a softmax beside the log-softmax, would be a second."""
    logits, target = case(classes=16, dtype=torch.float32)
    kept = {}

    def note(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = make()(logits, target)
    kept.pop(logits.data_ptr(), None)
    assert sum(number >= logits.numel() for number in kept.values()) == 1
    loss.backward()


@every_loss
def test_the_right_answer_is_the_best(make):
    _, target = case(seed=9, void=0.2)
    truth = torch.nn.functional.one_hot(target % VOID, 4).movedim(3, 1).double()
    right, wrong = 50 * truth, 50 * truth.roll(1, dims=1)
    assert make()(right, target) < 1e-6
    assert make()(wrong, target) > 0.9


@pytest.mark.parametrize(
    "arguments",
    [{"beta": 0.0}, {"beta": -1.0}, {"smooth": 0.0}, {"smooth": math.nan}],
)
def test_bad_settings_are_refused(arguments):
    for loss in (DiceLoss, DiceImageLoss, DicePresentLoss, DiceCELoss):
        with pytest.raises(ValueError, match="beta and smooth must be above 0"):
            loss(**arguments)


def test_bad_weights_are_refused():
    with pytest.raises(ValueError, match=r"negative: dice_weight=1.0, ce_weight=-1.0"):
        DiceCELoss(ce_weight=-1.0)
    logits, target = case()
    with pytest.raises(ValueError, match=r"weight must be \(2, 5, 7\), not \(5, 7\)"):
        PixelWeightedCrossEntropyLoss()(logits, target, torch.ones(5, 7))


def test_weights_of_ignored_pixels_do_not_matter():
    logits, target = case()
    weight = torch.ones(target.shape)
    expected = CrossEntropyLoss()(logits, target)
    for useless in (1e30, math.inf, math.nan):
        weight[target == VOID] = useless
        result = PixelWeightedCrossEntropyLoss()(logits, target, weight)
        torch.testing.assert_close(result, expected, rtol=1e-12, atol=0)
