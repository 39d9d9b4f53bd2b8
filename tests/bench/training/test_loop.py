"""The training loop: schedules by their formulas, the best epoch kept, divergence noticed."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bench.components.built_in import BUILT_IN
from bench.data.batches import Batches, crop_to
from bench.data.dataset import Split
from bench.training.loop import Diverged, train
from bench.training.step import TrainSettings, make_optimizer, make_schedule
from unet import UNet

CPU = torch.device("cpu")


def bright_or_dark(name):
    """A picture whose label is whether it is bright: learnt within a few steps."""
    rng = np.random.default_rng(int(name))
    mask = np.zeros((16, 16), np.uint8)
    mask[:, int(rng.integers(4, 12)) :] = 1
    image = np.where(mask[..., None] == 1, 200, 60) + rng.integers(-30, 30, (16, 16, 3))
    return image.astype(np.uint8), mask


SPLIT = Split(tuple(map(str, range(8))), bright_or_dark)


def run(model=None, scores=None, evaluate=None, seed=0, evaluate_every=1, keep="last", **changes):
    settings = TrainSettings(
        **{"crop_size": 16, "batch_size": 4, "epochs": 4, "learning_rate": 1e-2, **changes}
    )
    torch.manual_seed(seed)
    model = model or UNet(3, 2, base_channels=4, depth=2)
    given = iter(scores or [])
    batches = Batches(SPLIT, settings, seed=seed, workers=0)
    trained = train(
        model,
        batches,
        settings,
        device=CPU,
        evaluate=evaluate or (lambda model: {"mean_iou": next(given, 0.5)}),
        evaluate_every=evaluate_every,
        keep=keep,
    )
    return model, trained


@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [*((loss, "adam") for loss in BUILT_IN["loss"]), ("ce", "adamw"), ("ce", "sgd")],
)
def test_every_loss_and_optimiser_learns(loss, optimizer):
    _, trained = run(loss=loss, optimizer=optimizer, epochs=8)
    values = [row["train_loss"] for row in trained.history]
    assert values[-1] < 0.8 * values[0]


@pytest.mark.parametrize("changes", [{}, {"precision": "bf16"}, {"augmentation": "paper"}])
def test_a_seed_gives_the_same_weights_to_the_bit(changes):
    def weights(seed):
        model, _ = run(seed=seed, epochs=2, **changes)
        return torch.cat([value.flatten().double() for value in model.state_dict().values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


@pytest.mark.parametrize(
    ("keep", "scores", "epoch"),
    [
        ("last", [0.1, 0.9, 0.2, 0.3], 4),
        ("best", [0.1, 0.9, 0.2, 0.3], 2),
        ("best", [0.9, 0.9, 0.2, 0.9], 1),
        ("best", [None, None, 0.1, None], 3),
        ("best", [None, None, None, None], 4),
    ],
)
def test_the_declared_epoch_is_kept(keep, scores, epoch):
    weights = {}

    def evaluate(model):
        weights[len(weights) + 1] = model.outc.conv.weight.detach().clone()
        return {"mean_iou": scores[len(weights) - 1]}

    model, trained = run(evaluate=evaluate, keep=keep)
    assert trained.epoch == epoch
    assert torch.equal(model.outc.conv.weight, weights[epoch])


def test_evaluation_comes_every_k_epochs_and_after_the_last():
    _, trained = run(epochs=7, evaluate_every=3)
    assert [row["epoch"] for row in trained.history if "metrics" in row] == [3, 6, 7]
    assert [row["epoch"] for row in trained.history] == list(range(1, 8))


def test_a_loss_that_is_no_number_is_divergence():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1.0))

        def forward(self, x):
            return (self.scale * x * math.nan)[:, :2]

    with pytest.raises(Diverged, match="the training loss is nan in epoch 1"):
        run(model=Broken())


def test_an_unpadded_network_is_trained_on_the_middle():
    model = UNet(3, 2, base_channels=4, depth=1, padding="valid")
    _, trained = run(model=model, crop_size=28, epochs=6)
    assert trained.history[-1]["train_loss"] < trained.history[0]["train_loss"]
    target = torch.arange(36).reshape(1, 6, 6)
    assert crop_to(target, torch.zeros(1, 2, 2, 2)).tolist() == [[[14, 15], [20, 21]]]


def test_clipping_bounds_what_a_step_can_do():
    torch.manual_seed(0)
    model = UNet(3, 2, base_channels=4, depth=2)
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    run(model=model, epochs=1, optimizer="sgd", momentum=0, learning_rate=1.0, gradient_clip=1e-3)
    after = nn.utils.parameters_to_vector(model.parameters()).detach()
    assert 0 < float((after - before).norm()) <= 2 * 1e-3 * 1.01  # two steps


STEPS, EPOCHS = 5, 6
EXPECTED = {
    "step": lambda i: 0.1 ** (i // STEPS // 2),
    "poly": lambda i: (1 - i / (STEPS * EPOCHS)) ** 0.9,
    "cosine": lambda i: (1 + math.cos(math.pi * i / (STEPS * EPOCHS))) / 2,
    "constant": lambda i: 1.0,
}


def rates(name):
    settings = TrainSettings(
        epochs=EPOCHS, learning_rate=0.3, schedule={"name": name, "step_size": 2, "gamma": 0.1}
    )
    optimizer = make_optimizer(nn.Linear(1, 1), settings)
    schedule = make_schedule(optimizer, settings, steps_per_epoch=STEPS)
    seen = []
    for _ in range(STEPS * EPOCHS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


@pytest.mark.parametrize("name", EXPECTED)
def test_schedules_follow_their_formulas(name):
    assert rates(name) == pytest.approx([0.3 * EXPECTED[name](i) for i in range(STEPS * EPOCHS)])


def test_one_cycle_rises_to_the_rate_and_falls_below_its_start():
    seen = rates("one_cycle")
    top = seen.index(max(seen))
    assert max(seen) == pytest.approx(0.3, rel=0.02)
    assert seen[: top + 1] == sorted(seen[: top + 1])
    assert seen[top:] == sorted(seen[top:], reverse=True)
    assert seen[-1] < seen[0] < 0.05


@pytest.mark.parametrize(
    ("patience", "every", "scores", "epochs", "chosen"),
    [
        (2, 1, [0.1, 0.3, 0.2, 0.3, 0.9], 4, 2),  # an equal score is no better one
        (2, 1, [0.1, 0.2, 0.3, 0.4, 0.5], 5, 5),
        (2, 1, [0.5, 0.4, 0.6, 0.5, 0.4], 5, 3),  # the last epoch, which it would be anyway
        (1, 1, [0.2, None, 0.9], 2, 1),  # an undefined score is no better one either
        (2, 1, [None, None, 0.9], 2, 2),
        (1, 3, [0.2, 0.1], 6, 3),  # nothing is decided between two evaluations
        (None, 1, [0.9, 0.1, 0.1, 0.1, 0.1], 5, 1),
    ],
)
def test_patience_counts_epochs_since_the_best_score(patience, every, scores, epochs, chosen):
    _, trained = run(
        scores=scores,
        keep="best",
        evaluate_every=every,
        patience=patience,
        epochs=9 if every > 1 else 5,
    )
    assert len(trained.history) == epochs
    assert trained.epoch == chosen


def test_a_training_that_stops_early_keeps_the_weights_of_its_last_epoch():
    stopped, trained = run(scores=[0.9, 0.1, 0.1], patience=2, schedule={"name": "constant"})
    assert (len(trained.history), trained.epoch) == (3, 3)
    whole, _ = run(epochs=3, schedule={"name": "constant"})
    assert torch.equal(stopped.outc.conv.weight, whole.outc.conv.weight)
