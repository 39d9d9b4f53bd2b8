"""Weight maps against the formula pixel by pixel; boundary IoU against eroding each class."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from unet.boundary import balanced_weights, border_weight_map, boundary_counts, boundary_iou


def weights_by_brute_force(labels, w0, sigma, class_weights=(1.0, 1.0)):
    """The formula for every pixel, with the distance to every pixel of every instance."""
    instances = [np.argwhere(labels == name) for name in np.unique(labels) if name != 0]
    weights = np.zeros(labels.shape)
    for pixel in np.ndindex(labels.shape):
        if labels[pixel] != 0:
            weights[pixel] = class_weights[1]
            continue
        weights[pixel] = class_weights[0]
        if len(instances) >= 2:
            d = sorted(min(math.dist(pixel, other) for other in place) for place in instances)
            weights[pixel] += w0 * math.exp(-((d[0] + d[1]) ** 2) / (2 * sigma**2))
    return weights


label_images = arrays.arrays(
    np.int64, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4)
)


@given(labels=label_images, w0=st.floats(0, 20), sigma=st.floats(0.2, 8))
@settings(max_examples=60, deadline=None)
def test_weights_follow_the_formula(labels, w0, sigma):
    weights = border_weight_map(labels, w0=w0, sigma=sigma, class_weights=(0.5, 2.0))
    assert weights.dtype == np.float32
    expected = weights_by_brute_force(labels, w0, sigma, (0.5, 2.0))
    np.testing.assert_allclose(weights, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("sigma", [1.0, 5.0])
def test_many_instances_whose_windows_overlap_only_in_part(sigma):
    generator = np.random.default_rng(0)
    labels = np.zeros((48, 56), np.int32)
    for name in range(1, 13):
        row, column = generator.integers(0, (44, 52))
        labels[row : row + generator.integers(1, 5), column : column + 3] = name
    np.testing.assert_allclose(
        border_weight_map(labels, sigma=sigma),
        weights_by_brute_force(labels, 10.0, sigma),
        rtol=1e-6,
    )


def test_weight_between_two_walls_is_that_of_their_gap():
    labels = np.zeros((4, 40), int)
    labels[:, :10], labels[:, 14:] = 1, 2
    weights = border_weight_map(labels)
    # 4 background columns; from each of them the two walls are 5 pixels apart in sum
    np.testing.assert_allclose(weights[:, 10:14], 1 + 10 * math.exp(-25 / 50), rtol=1e-6)
    assert (weights[labels != 0] == 1).all()


def test_map_has_the_symmetry_of_the_labels():
    labels = np.zeros((21, 21), int)
    labels[8:13, 3:8], labels[8:13, 13:18] = 1, 2
    weights = border_weight_map(labels)
    np.testing.assert_array_equal(weights, weights[:, ::-1])
    np.testing.assert_array_equal(weights, weights[::-1])
    np.testing.assert_array_equal(border_weight_map(labels.T), weights.T)
    assert np.unravel_index(weights.argmax(), weights.shape)[1] in range(8, 13)


@pytest.mark.parametrize("names", [(3, 200), (-7, 5), (2**40, 1)])
def test_names_of_instances_do_not_matter(names):
    labels = np.zeros((9, 15), np.int64)
    labels[2:6, 1:5], labels[3:9, 9:12] = 1, 2
    renamed = np.where(labels == 1, names[0], np.where(labels == 2, names[1], 0))
    np.testing.assert_array_equal(border_weight_map(renamed), border_weight_map(labels))


@pytest.mark.parametrize("instances", [0, 1])
def test_fewer_than_two_instances_have_no_border(instances):
    labels = np.zeros((12, 12), np.uint8)
    labels[4:8, 4:8] = instances
    weights = border_weight_map(labels, class_weights=(0.75, 1.5))
    np.testing.assert_array_equal(weights, np.where(labels == 0, 0.75, 1.5).astype(np.float32))


def test_pieces_of_one_instance_have_no_border_between_them():
    labels = np.zeros((5, 12), int)
    labels[:, :4] = labels[:, 7:] = 9
    assert (border_weight_map(labels) == 1).all()


def test_balanced_weights_by_hand():
    first = np.zeros((4, 5), np.uint8)  # 20 pixels of background
    second = np.ones((4, 5), np.uint8)
    second[0] = 0  # 5 of background, 15 of foreground; in all 25 and 15 of 40
    background, foreground = balanced_weights([first, second * 7])
    assert background == pytest.approx(40 / 50)
    assert foreground == pytest.approx(40 / 30)


@given(labels=label_images)
def test_balanced_weights_have_mean_one_and_equal_sums(labels):
    weights = border_weight_map(labels, w0=0.0, class_weights=balanced_weights([labels]))
    assert weights.mean() == pytest.approx(1.0, rel=1e-5)
    if 0 < np.count_nonzero(labels) < labels.size:
        assert weights[labels == 0].sum() == pytest.approx(weights[labels != 0].sum(), rel=1e-5)


def test_balanced_weights_need_pixels():
    with pytest.raises(ValueError, match="at least one pixel"):
        balanced_weights([np.zeros((0, 3), int)])


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        (np.zeros((2, 3, 4), int), {}, r"labels must be \(H, W\) integers"),
        (np.zeros((3, 4)), {}, "not .* of float64"),
        (np.zeros((3, 4), int), {"sigma": 0.0}, "sigma must be"),
        (np.zeros((3, 4), int), {"sigma": math.nan}, "sigma must be"),
        (np.zeros((3, 4), int), {"w0": -1.0}, "w0=-1.0"),
        (np.zeros((3, 4), int), {"class_weights": (1.0, math.inf)}, "class_weights"),
    ],
)
def test_wrong_weight_maps_are_refused(labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        border_weight_map(labels, **arguments)


def counts_by_eroding(prediction, target, num_classes, ignore_index=255, width=0.02):
    """Each class's mask by itself, less its erosion, 3 x 3 and once for each pixel of width."""
    times = max(1, round(width * math.hypot(*target.shape)))
    decided = target != ignore_index
    counts = np.zeros((2, num_classes), int)
    for name in range(num_classes):
        bands = []
        for labels in (prediction, target):
            mask = (labels == name) & decided
            eroded = ndimage.binary_erosion(mask, np.ones((3, 3)), times, border_value=0)
            bands.append(mask & ~eroded)
        counts[:, name] = (bands[0] & bands[1]).sum(), (bands[0] | bands[1]).sum()
    return counts


def blobs(shape, num_classes, seed, void=0.0):
    generator = np.random.default_rng(seed)
    heights = ndimage.gaussian_filter(generator.normal(size=(num_classes, *shape)), (0, 3, 3))
    labels = heights.argmax(0)
    labels[generator.random(shape) < void] = 255
    return labels


@pytest.mark.parametrize("width", [0.001, 0.02, 0.1, 0.7])
@pytest.mark.parametrize("shape", [(40, 61), (1, 30), (5, 5), (90, 70)])
@pytest.mark.parametrize("void", [0.0, 0.05])
def test_counts_equal_those_of_eroding_each_class(width, shape, void):
    prediction, target = blobs(shape, 6, 0), blobs(shape, 4, 1, void)
    counts = boundary_counts(torch.from_numpy(prediction), torch.from_numpy(target), 6, width=width)
    assert counts.dtype == torch.int64
    expected = counts_by_eroding(prediction, target, 6, width=width)
    np.testing.assert_array_equal(counts.numpy(), expected)


@given(
    data=st.data(),
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    width=st.floats(0.01, 0.4),
)
@settings(max_examples=100, deadline=None)
def test_counts_equal_those_of_eroding_each_class_on_any_labels(data, shape, width):
    prediction = data.draw(arrays.arrays(np.int64, shape, elements=st.integers(0, 2)))
    target = data.draw(arrays.arrays(np.int64, shape, elements=st.sampled_from([0, 1, 2, 255])))
    counts = boundary_counts(torch.from_numpy(prediction), torch.from_numpy(target), 3, width=width)
    expected = counts_by_eroding(prediction, target, 3, width=width)
    np.testing.assert_array_equal(counts.numpy(), expected)


def test_boundary_iou_by_hand():
    """A 4 x 4 square one column further right than in truth, bands 1 pixel wide."""
    target = torch.zeros((10, 10), dtype=torch.int64)
    target[3:7, 2:6] = 1
    prediction = torch.roll(target, 1, dims=1)
    # class 1: rings of 12 pixels; the rows above and below share 3 each, no column is shared
    intersection, union = boundary_counts(prediction, target, 2)[:, 1].tolist()
    assert (intersection, union) == (6, 18)
    assert boundary_iou(prediction, target, 2)[1].item() == 6 / 18


def test_border_of_the_image_is_boundary():
    target = torch.zeros((30, 40), dtype=torch.int64)  # diagonal 50, so bands are 1 wide
    counts = boundary_counts(target, target, 1)
    assert counts.tolist() == [[136], [136]]  # 2 * 30 + 2 * 40 - 4


def test_class_that_neither_has_is_nan():
    target = torch.zeros((8, 8), dtype=torch.int64)
    target[:, 4:] = 2
    iou = boundary_iou(torch.zeros_like(target), target, 4)
    assert iou.dtype == torch.float64
    assert iou.isnan().tolist() == [False, True, False, True]
    assert iou[2] == 0


@pytest.mark.parametrize("seed", range(5))
def test_void_of_the_truth_counts_in_neither(seed):
    target = torch.from_numpy(blobs((40, 50), 3, seed))
    target[10:20, 15:30] = 255
    right = torch.from_numpy(blobs((40, 50), 3, seed))
    anything = torch.where(target == 255, (right + 1) % 3, right)
    for prediction in (right, anything, torch.where(target == 255, 77, right)):
        iou = boundary_iou(prediction, target, 3)
        assert (iou[~iou.isnan()] == 1).all()
        assert not iou.isnan().all()


def test_all_void_is_nan():
    target = torch.full((6, 6), 255)
    assert boundary_iou(torch.zeros_like(target), target, 2).isnan().all()


def test_another_label_can_be_void():
    target = torch.from_numpy(blobs((20, 20), 3, 0))
    prediction = torch.from_numpy(blobs((20, 20), 3, 1))
    ours = boundary_counts(prediction, target, 3, ignore_index=0)
    expected = counts_by_eroding(prediction.numpy(), target.numpy(), 3, ignore_index=0)
    np.testing.assert_array_equal(ours.numpy(), expected)


def test_counts_of_a_batch_are_the_sum_of_its_images():
    predictions = torch.from_numpy(np.stack([blobs((20, 30), 4, seed) for seed in (0, 1, 2)]))
    targets = torch.from_numpy(np.stack([blobs((20, 30), 4, seed, 0.1) for seed in (3, 4, 5)]))
    pairs = zip(predictions, targets, strict=True)
    apart = sum(boundary_counts(prediction, target, 4) for prediction, target in pairs)
    together = boundary_counts(predictions, targets, 4)
    assert torch.equal(together, apart)
    iou = boundary_iou(predictions, targets, 4)
    assert torch.equal(iou, together[0].double() / together[1].double())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_type_of_the_labels_does_not_matter(dtype):
    prediction = torch.from_numpy(blobs((20, 30), 4, 0))
    target = torch.from_numpy(blobs((20, 30), 4, 1, 0.1))
    expected = boundary_counts(prediction, target, 4)
    assert torch.equal(boundary_counts(prediction.to(dtype), target.to(dtype), 4), expected)


SQUARE = torch.zeros((5, 5), dtype=torch.int64)


@pytest.mark.parametrize(
    ("prediction", "target", "arguments", "message"),
    [
        (SQUARE, SQUARE[:4], {}, r"must both be .*\(5, 5\) and \(4, 5\)"),
        (SQUARE[0], SQUARE[0], {}, "must both be"),
        (SQUARE, SQUARE, {"num_classes": 0}, "num_classes must be"),
        (SQUARE, SQUARE, {"num_classes": 40_000}, "num_classes must be"),
        (SQUARE, SQUARE, {"width": 0.0}, "width must be"),
        (SQUARE, SQUARE, {"width": math.nan}, "width must be"),
        (SQUARE.float(), SQUARE, {}, "prediction must be integer labels, not torch.float32"),
        (SQUARE + 3, SQUARE, {}, "prediction has label 3, known are 0 to 2"),
        (SQUARE, SQUARE - 1, {}, "target has label -1"),
        (SQUARE, SQUARE + 3, {}, "target has label 3"),
        (SQUARE + 255, SQUARE, {}, "prediction has label 255"),
    ],
)
def test_wrong_counts_are_refused(prediction, target, arguments, message):
    with pytest.raises(ValueError, match=message):
        boundary_counts(prediction, target, **{"num_classes": 3, **arguments})
