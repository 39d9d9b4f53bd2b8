import numpy as np

from bench.data.synthetic.noise import generator, smooth_noise


def test_noise_interpolates_between_its_points():
    noise = smooth_noise(generator(0), (12, 20), (4, 5))
    expected = generator(0).integers(-128, 128, size=(12 // 4 + 2, 20 // 5 + 2))
    np.testing.assert_array_equal(noise[::4, ::5], expected[:3, :4])
    middle = (2 * expected[0, 0] + 2 * expected[1, 0]) * 5 // 20
    assert noise[2, 0] == middle
