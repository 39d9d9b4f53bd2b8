import numpy as np
import pytest

from bench.data.synthetic.canvas import Canvas


@pytest.mark.parametrize("size", [(60, 90), (700, 900)])
def test_an_ellipse_is_one_at_every_scale(size):
    canvas = Canvas(np.random.Generator(np.random.PCG64(0)), size)
    a, b = size[1] // 3, size[0] // 3
    inside = canvas.ellipse(size[1] // 2, size[0] // 2, a, b)
    assert inside.sum() == pytest.approx(np.pi * a * b, rel=0.02)
