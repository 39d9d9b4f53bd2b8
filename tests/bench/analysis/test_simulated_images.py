"""The simulation of images at a small size; tests/simulations/images.py is the large one."""

import numpy as np
import pytest

from tests.simulations import images

FEW = 200


@pytest.mark.parametrize("image", [0.0, 4.0])
def test_claims_on_such_images_are_seldom_false(image):
    truth = images.Truth(16, 8, image)
    these, such = images.false_claims(truth, FEW, np.random.default_rng(3))
    assert such <= 0.05 + 0.05  # three standard errors
    if image:
        assert these > 0.15
