"""The deformation against PyTorch's bicubic, SciPy's resampling and plain indexing."""

import json
import pickle
import random

import albumentations as A
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from unet.elastic import ElasticDeformation, sampling_map


def pipeline(seed=0, **arguments):
    return A.Compose([ElasticDeformation(p=1.0, **arguments)], seed=seed)


def field_of(compose):
    return compose.transforms[0].get_applied_params()["field"]


def photograph(*shape, dtype=np.uint8, seed=0):
    """Smooth enough that OpenCV's coordinates of 1/32 pixel, where it has them, do not matter."""
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, 6, axes=(0, 1))
    scaled = 200 * (smooth - smooth.min()) / np.ptp(smooth)
    return scaled.astype(dtype)


def mirrored(index, size):
    return np.pad(np.arange(size), (4 * size, 4 * size), mode="reflect")[index + 4 * size]


def nearest_by_indexing(mask, field):
    """The mask at the rounded coordinates, and where those lie outside."""
    columns, rows = np.rint(field).astype(int)
    height, width = mask.shape[:2]
    outside = (columns < 0) | (columns >= width) | (rows < 0) | (rows >= height)
    return mask[mirrored(rows, height), mirrored(columns, width)], outside


@pytest.mark.parametrize("grid", [2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(33, 48), (7, 5), (2, 100)])
def test_field_is_the_bicubic_interpolation_of_the_nodes(grid, shape):
    nodes = np.random.default_rng(grid).normal(0, 10, (2, grid, grid))
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(nodes)[None], size=shape, mode="bicubic", align_corners=True
    )[0].numpy()
    expected[0] += np.arange(shape[1])
    expected[1] += np.arange(shape[0])[:, None]

    field = sampling_map(nodes, shape)

    assert field.dtype == np.float32
    np.testing.assert_allclose(field, expected, atol=5e-5)


def test_nodes_keep_their_displacement():
    nodes = np.random.default_rng(1).normal(0, 10, (2, 3, 3))
    field = sampling_map(nodes, (21, 41))
    at_nodes = field[:, ::10, ::20] - np.stack(np.meshgrid([0, 20, 40], [0, 10, 20]))
    np.testing.assert_allclose(at_nodes, nodes, atol=1e-5)


def test_equal_displacements_shift_the_image():
    nodes = np.stack([np.full((3, 3), 3.0), np.full((3, 3), -2.0)])
    columns, rows = sampling_map(nodes, (9, 12))
    np.testing.assert_allclose(columns, np.tile(np.arange(12) + 3, (9, 1)), atol=1e-5)
    np.testing.assert_allclose(rows, np.tile(np.arange(9)[:, None] - 2, (1, 12)), atol=1e-5)


def test_displacements_have_the_standard_deviation_sigma():
    compose = pipeline(sigma=4.0)
    image = np.zeros((16, 16), np.uint8)
    corners = []
    for _ in range(1000):
        compose(image=image)
        field = field_of(compose) - np.stack(np.meshgrid(np.arange(16), np.arange(16)))
        corners.append(field[:, [0, 0, 15, 15], [0, 15, 0, 15]].ravel())
    draws = np.array(corners)  # (1000, 8) independent samples of N(0, 4)
    np.testing.assert_allclose(draws.std(axis=0), 4.0, rtol=0.12)
    np.testing.assert_allclose(draws.mean(axis=0), 0.0, atol=0.6)
    correlation = np.corrcoef(draws.T) - np.eye(8)
    assert np.abs(correlation).max() < 0.15


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_image_is_read_linearly_from_a_mirrored_image(channels, dtype):
    shape = (40, 56) if channels is None else (40, 56, channels)
    image = photograph(*shape, dtype=dtype)
    compose = pipeline()

    out = compose(image=image)["image"]

    assert out.shape == image.shape
    assert out.dtype == image.dtype
    columns, rows = field_of(compose)
    planes = image.reshape(40, 56, -1)
    for channel in range(planes.shape[2]):
        expected = ndimage.map_coordinates(
            planes[:, :, channel].astype(float), [rows, columns], order=1, mode="mirror"
        )
        tolerance = 1.5 if np.issubdtype(dtype, np.integer) else 1.0  # grey values of 200
        np.testing.assert_allclose(
            out.reshape(planes.shape)[:, :, channel], expected, atol=tolerance
        )


def test_interpolation_can_be_chosen():
    image = photograph(30, 30)
    linear, nearest = pipeline(), pipeline(interpolation=cv2.INTER_NEAREST)
    smooth = linear(image=image)["image"]
    rough = nearest(image=image)["image"]
    np.testing.assert_array_equal(rough, nearest_by_indexing(image, field_of(nearest))[0])
    assert (smooth != rough).any()


@pytest.mark.parametrize("channels", [None, 1, 3, 5])
@pytest.mark.parametrize(
    "dtype", [bool, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.float16, np.float32]
)
@pytest.mark.parametrize("fill", [None, 1])
def test_mask_takes_the_nearest_pixel(channels, dtype, fill):
    shape = (30, 44) if channels is None else (30, 44, channels)
    mask = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    compose = pipeline(mask_fill=fill)

    out = compose(image=np.zeros((30, 44, 3), np.uint8), mask=mask)["mask"]

    expected, outside = nearest_by_indexing(mask, field_of(compose))
    assert outside.any()
    if fill is not None and dtype not in (np.float16, np.float32):
        expected[outside] = fill
    assert out.dtype == mask.dtype
    np.testing.assert_array_equal(out, expected)


def test_large_instance_numbers_survive():
    mask = np.arange(20 * 20, dtype=np.int64).reshape(20, 20) + 2**40
    compose = pipeline()
    out = compose(image=np.zeros((20, 20), np.uint8), mask=mask)["mask"]
    np.testing.assert_array_equal(out, nearest_by_indexing(mask, field_of(compose))[0])


@given(seed=st.integers(0, 2**32 - 1), fill=st.sampled_from([None, 255]), size=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_no_new_label_appears(seed, fill, size):
    mask = np.random.default_rng(seed).choice(np.array([0, 3, 17, 200], np.uint8), (size, 23))
    out = pipeline(seed, mask_fill=fill)(image=mask, mask=mask)["mask"]
    assert set(out.ravel()) <= set(mask.ravel()) | ({255} if fill else set())


def test_image_and_mask_move_together():
    squares = np.kron(np.indices((6, 6)).sum(0) % 2, np.ones((16, 16))).astype(np.float32)
    compose = pipeline(interpolation=cv2.INTER_NEAREST, sigma=5.0)
    out = compose(image=squares, mask=squares.astype(np.uint8))
    np.testing.assert_array_equal(out["image"], out["mask"])
    assert (out["mask"] != squares).any()


def test_fill_leaves_the_image_mirrored():
    image = photograph(32, 32)
    plain = pipeline()(image=image, mask=image)
    filled = pipeline(mask_fill=255)(image=image, mask=image)
    np.testing.assert_array_equal(plain["image"], filled["image"])
    assert (filled["mask"] == 255).any()
    assert not (plain["mask"] == 255).any()


@pytest.mark.parametrize("registered_as", ["mask", "image"])
def test_weight_map_goes_along(registered_as):
    weights = 1 + 10 * photograph(48, 48, dtype=np.float32) / 200
    compose = A.Compose(
        [ElasticDeformation(p=1.0, mask_fill=255)],
        additional_targets={"weights": registered_as},
        seed=0,
    )
    out = compose(image=photograph(48, 48, 3), mask=photograph(48, 48), weights=weights)["weights"]
    columns, rows = field_of(compose)
    order = 0 if registered_as == "mask" else 1
    expected = ndimage.map_coordinates(weights, [rows, columns], order=order, mode="mirror")
    assert out.dtype == np.float32
    assert (np.abs(out - expected) > 0.05).mean() < 0.001  # a few coordinates end on .5


def test_lists_and_volumes_get_the_field_of_the_image():
    image, mask = photograph(24, 24, 3), photograph(24, 24, seed=1)
    one = pipeline()(image=image, mask=mask)
    several = pipeline()(image=image, masks=[mask, mask[::-1]], mask3d=np.stack([mask] * 6))
    np.testing.assert_array_equal(several["masks"][0], one["mask"])
    assert (several["masks"][1] != one["mask"]).any()
    np.testing.assert_array_equal(several["mask3d"], np.stack([one["mask"]] * 6))
    stacks = pipeline()(images=np.stack([image, image]))
    np.testing.assert_array_equal(stacks["images"], np.stack([one["image"]] * 2))
    volume = pipeline()(volume=np.stack([image, image]))
    np.testing.assert_array_equal(volume["volume"], np.stack([one["image"]] * 2))


def test_seed_of_the_pipeline_decides_and_nothing_else():
    image = photograph(32, 32)

    def three_calls(compose):
        return [compose(image=image)["image"] for _ in range(3)]

    np.random.seed(0)
    random.seed(0)
    first = three_calls(pipeline(seed=5))
    np.random.seed(1)
    random.seed(1)
    untouched = np.random.get_state()[1].copy(), random.getstate()
    second, other = three_calls(pipeline(seed=5)), three_calls(pipeline(seed=6))
    np.testing.assert_array_equal(first, second)
    assert (first[0] != first[1]).any()
    assert (first[0] != other[0]).any()
    np.testing.assert_array_equal(np.random.get_state()[1], untouched[0])
    assert random.getstate() == untouched[1]


def test_a_new_seed_starts_over():
    compose = pipeline(seed=5)
    image = photograph(32, 32)
    first = compose(image=image)["image"]
    compose.set_random_seed(5)
    np.testing.assert_array_equal(compose(image=image)["image"], first)


def test_probability_is_honoured():
    image = photograph(16, 16)
    compose = A.Compose([ElasticDeformation(p=0.25)], seed=0)
    moved = sum((compose(image=image)["image"] != image).any() for _ in range(400))
    assert 60 <= moved <= 140
    never = A.Compose([ElasticDeformation(p=0.0)])
    np.testing.assert_array_equal(never(image=image)["image"], image)


def test_serialised_pipeline_does_the_same():
    compose = pipeline(sigma=6.0, grid=4, mask_fill=255, interpolation=cv2.INTER_CUBIC)
    stored = json.loads(json.dumps(A.to_dict(compose)))
    arguments = stored["transform"]["transforms"][0]
    assert {
        key: arguments[key] for key in ("sigma", "grid", "mask_fill", "interpolation", "p")
    } == {
        "sigma": 6.0,
        "grid": 4,
        "mask_fill": 255,
        "interpolation": cv2.INTER_CUBIC,
        "p": 1.0,
    }
    again = A.from_dict(stored)
    image = photograph(32, 40, 3)
    compose.set_random_seed(2)
    again.set_random_seed(2)
    before, after = (run(image=image, mask=image[:, :, 0]) for run in (compose, again))
    np.testing.assert_array_equal(before["image"], after["image"])
    np.testing.assert_array_equal(before["mask"], after["mask"])


def test_pickled_pipeline_does_the_same():
    compose = pipeline(seed=3)
    again = pickle.loads(pickle.dumps(compose))
    image = photograph(32, 40)
    np.testing.assert_array_equal(compose(image=image)["image"], again(image=image)["image"])


def test_defaults_are_the_papers():
    transform = ElasticDeformation()
    assert (transform.sigma, transform.grid, transform.mask_fill) == (10.0, 3, None)


def test_no_displacement_changes_nothing():
    image = photograph(31, 17, 3)
    out = pipeline(sigma=0.0, mask_fill=255)(image=image, mask=image[:, :, 0])
    np.testing.assert_array_equal(out["image"], image)
    np.testing.assert_array_equal(out["mask"], image[:, :, 0])


def test_input_is_left_alone():
    image = photograph(31, 17, 3)
    kept = image.copy()
    pipeline()(image=image, mask=image[:, :, 0])
    np.testing.assert_array_equal(image, kept)


@pytest.mark.parametrize(
    "arguments",
    [
        {"sigma": -1.0},
        {"sigma": float("nan")},
        {"sigma": "wide"},
        {"grid": 1},
        {"grid": 2.5},
        {"mask_fill": "void"},
        {"interpolation": 99},
        {"p": 1.5},
    ],
)
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        ElasticDeformation(**arguments)


@pytest.mark.parametrize(
    ("fill", "dtype"), [(-1, np.uint8), (256, np.uint8), (2**15, np.int16), (255, bool)]
)
def test_fill_must_fit_the_mask(fill, dtype):
    image = np.zeros((8, 8), np.uint8)
    with pytest.raises(ValueError, match=f"mask_fill={fill} does not fit a {np.dtype(dtype)} mask"):
        pipeline(mask_fill=fill)(image=image, mask=image.astype(dtype))


@pytest.mark.parametrize(("fill", "dtype"), [(-1, np.int16), (256, np.int16), (2**40, np.int64)])
def test_fill_may_be_anything_that_fits(fill, dtype):
    mask = np.ones((8, 8), dtype)
    out = pipeline(mask_fill=fill)(image=np.zeros((8, 8), np.uint8), mask=mask)["mask"]
    assert set(out.ravel()) == {1, fill}
