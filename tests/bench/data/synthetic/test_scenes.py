import numpy as np
import pytest

from bench.data.synthetic import scenes
from bench.data.synthetic.scenes import LABELS, VOID, draw_scene


def generator(seed=0):
    return np.random.Generator(np.random.PCG64(seed))


@pytest.mark.parametrize("name", sorted(set(LABELS) - {"sky", "grass"}))
def test_what_is_cast_is_painted_and_nothing_else(name):
    for seed in range(20):
        image, labels = draw_scene(generator(seed), (120, 160), {name})
        assert image.shape == (120, 160, 3)
        assert image.dtype == labels.dtype == np.uint8
        assert set(np.unique(labels)) <= {LABELS.index(n) for n in ("sky", "grass", name)} | {VOID}
        assert LABELS.index(name) in labels


def test_objects_cover_what_is_behind_them():
    alone = draw_scene(generator(3), (96, 96), set())[1]
    peopled = draw_scene(generator(3), (96, 96), {"person"})[1]
    person = peopled == LABELS.index("person")
    assert person.any()
    assert not (alone == LABELS.index("person")).any()


def test_noise_interpolates_between_its_points():
    canvas = scenes._Canvas(generator(), (12, 20))
    points = generator()
    points.integers(28, 51), points.integers(5, 16)  # what the canvas itself drew
    noise = canvas.noise(4, 5)
    expected = points.integers(-128, 128, size=(12 // 4 + 2, 20 // 5 + 2))
    np.testing.assert_array_equal(noise[::4, ::5], expected[:3, :4])
    middle = (2 * expected[0, 0] + 2 * expected[1, 0]) * 5 // 20
    assert noise[2, 0] == middle


@pytest.mark.parametrize("size", [(60, 90), (700, 900)])
def test_an_ellipse_is_one_at_every_scale(size):
    canvas = scenes._Canvas(generator(), size)
    a, b = size[1] // 3, size[0] // 3
    inside = canvas.ellipse(size[1] // 2, size[0] // 2, a, b)
    assert inside.sum() == pytest.approx(np.pi * a * b, rel=0.02)
