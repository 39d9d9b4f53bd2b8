"""Dice + cross-entropy, forward and backward: 8 x 22 x 192² float32."""

import contextlib

import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F

from unet.losses import DiceCELoss

CLASSES = 22


def studys(logits, target, smooth=1e-5):
    """The study's way: softmax and one-hot maps of every class, sums over the batch."""
    probabilities = logits.softmax(1)
    truth = F.one_hot(target, CLASSES).permute(0, 3, 1, 2).float()
    both = (probabilities * truth).sum((0, 2, 3))
    either = probabilities.sum((0, 2, 3)) + truth.sum((0, 2, 3))
    dice = 1 - ((2 * both + smooth) / (either + smooth)).mean()
    return dice - (truth * logits.log_softmax(1)).sum(1).mean()


def monais():
    losses = pytest.importorskip("monai.losses")
    loss = losses.DiceCELoss(to_onehot_y=True, softmax=True)
    return lambda logits, target: loss(logits, target[:, None])


def smps():
    dice = smp.losses.DiceLoss("multiclass", ignore_index=255)
    return lambda logits, target: (
        dice(logits, target) + F.cross_entropy(logits, target, ignore_index=255)
    )


@pytest.fixture
def contestants():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(8, CLASSES, 192, 192, generator=generator, requires_grad=True)
    target = torch.randint(CLASSES, (8, 192, 192), generator=generator)
    losses = {"ours": DiceCELoss(), "cross-entropy alone": F.cross_entropy, "study": studys}
    losses |= {"smp": smps()}
    with contextlib.suppress(pytest.skip.Exception):
        losses["monai"] = monais()

    def call(loss):
        def step():
            logits.grad = None
            loss(logits, target).backward()

        return step

    return {name: call(loss) for name, loss in losses.items()}


def test_dice_ce(race, contestants, peak_bytes):
    memory = {name: peak_bytes(call) for name, call in contestants.items()}
    seconds = race(contestants, rounds=25, bytes=memory)
    assert seconds["ours"] <= 1.4 * seconds["cross-entropy alone"]
    for peer in set(contestants) - {"ours", "cross-entropy alone"}:
        assert seconds["ours"] < seconds[peer]
        assert memory["ours"] < memory[peer]
