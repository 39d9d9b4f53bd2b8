"""Weights of classes in cross-entropy, against torch's own and scikit-learn's formula."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.errors import UserError
from bench.training import losses
from unet.losses import CrossEntropyLoss

RNG = torch.Generator().manual_seed(0)
LOGITS = torch.randn(2, 4, 5, 6, generator=RNG)
TARGET = torch.randint(0, 4, (2, 5, 6), generator=RNG)
TARGET[0, :2] = 255


@pytest.mark.parametrize("weights", [[1.0, 2.0, 0.5, 3.0], [0.0, 1.0, 0.0, 4.0], [1.0] * 4])
def test_the_loss_is_torchs_weighted_mean(weights):
    ours, theirs = (LOGITS.clone().requires_grad_() for _ in range(2))
    found = CrossEntropyLoss(weights)(ours, TARGET)
    expected = F.cross_entropy(theirs, TARGET, torch.tensor(weights), ignore_index=255)
    torch.testing.assert_close(found, expected)
    found.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("target", [torch.full_like(TARGET, 255), torch.zeros_like(TARGET)])
def test_without_weighty_pixels_loss_and_gradient_are_0(target):
    logits = LOGITS.clone().requires_grad_()
    loss = CrossEntropyLoss([0.0, 1.0, 1.0, 1.0])(logits, target)
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


def test_balanced_weights_let_every_class_that_occurs_weigh_alike():
    pixels = [10, 0, 30, 960]
    weights = losses.with_weights("ce", {"weights": "balanced"}, pixels)["weights"]
    assert weights == pytest.approx([1000 / 30, 0, 1000 / 90, 1000 / 2880])
    shares = np.multiply(pixels, weights)
    assert shares[[0, 2, 3]] == pytest.approx([1000 / 3] * 3)
    assert losses.with_weights("ce", {}, pixels) == {}
    assert losses.with_weights("dice", {"beta": 2.0}, pixels) == {"beta": 2.0}


@pytest.mark.parametrize("weights", ["balanced", [1, 2.5], None])
def test_options_that_are_right(weights):
    losses.check("ce", {"weights": weights})


@pytest.mark.parametrize("weights", ["balancd", [1.0, -1.0], [0.0, 0.0], [], 3, ["a"]])
def test_options_that_are_wrong(weights):
    with pytest.raises(ValueError, match="loss 'ce': weights"):
        losses.check("ce", {"weights": weights})


def test_weights_are_as_many_as_classes():
    losses.check_classes("ce", {"weights": [1.0, 2.0]}, ("a", "b"))
    losses.check_classes("ce", {"weights": "balanced"}, ("a", "b"))
    with pytest.raises(UserError, match=r"loss_options.weights: 3 for 2 classes \(a, b\)"):
        losses.check_classes("ce", {"weights": [1.0, 2.0, 3.0]}, ("a", "b"))
