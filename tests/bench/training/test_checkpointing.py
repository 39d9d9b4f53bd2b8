"""An interrupted training ends at the same bits as one that was not."""

import random

import numpy as np
import pytest
import torch

from bench.data.batches import Batches
from bench.errors import UserError
from bench.training import checkpointing
from bench.training.checkpointing import Checkpointer, Interrupted
from bench.training.loop import train
from bench.training.step import TrainSettings
from unet import UNet

from .test_loop import CPU, SPLIT


class Folder:
    """Where a state is kept; counts how often."""

    def __init__(self):
        self.content = None
        self.writes = 0

    def read(self):
        return self.content

    def write(self, content):
        self.content = content
        self.writes += 1


def run(checkpointer=None, *, epochs=4, scores=(0.1, 0.9, 0.2, 0.3), keep="last", **changes):
    """Train from scratch; a score is drawn for each epoch, and every random generator is used."""
    values = {"crop_size": 16, "batch_size": 4, "epochs": epochs, "learning_rate": 1e-2}
    settings = TrainSettings(**{**values, **changes})
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    model = UNet(3, 2, base_channels=4, depth=2, dropout=0.3)
    model = model.to(memory_format=torch.channels_last)
    rows = []

    def evaluate(model):
        drawn = [random.random(), float(np.random.rand()), float(torch.rand(()))]
        return {"mean_iou": scores[len(rows) % len(scores)], "drawn": sum(drawn)}

    trained = train(
        model,
        Batches(SPLIT, settings, seed=3, workers=0),
        settings,
        device=CPU,
        evaluate=evaluate,
        keep=keep,
        on_epoch=rows.append,
        checkpointer=checkpointer,
    )
    assert rows == trained.history
    return model, trained


def interrupted(folder, after, **options):
    """Train until the end of an epoch; that is where a kill leaves what was kept."""
    asked = iter([*[False] * (after - 1), True])
    with pytest.raises(Interrupted, match="stopped after epoch"):
        run(Checkpointer(folder.read, folder.write, stop=lambda: next(asked)), **options)


def untimed(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def difference(one, other):
    """The largest difference between the weights of two models."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": {"name": "one_cycle"}},
        {"optimizer": "sgd", "schedule": {"name": "poly"}, "gradient_clip": 0.5},
        {"schedule": {"name": "cosine"}, "precision": "bf16"},
        {"schedule": {"name": "constant"}, "augmentation": "paper"},
        {"schedule": {"name": "step", "step_size": 1}, "precision": "fp16"},
        {"loss": "dice+ce", "keep": "best"},
    ],
    ids=lambda options: " ".join(map(str, options)) or "plain",
)
def test_two_epochs_and_two_are_four(options):
    whole, expected = run(**options)
    folder = Folder()
    interrupted(folder, 2, **options)
    model, trained = run(Checkpointer(folder.read, folder.write), **options)
    assert difference(model, whole) == 0
    assert untimed(trained.history) == untimed(expected.history)
    assert trained.epoch == expected.epoch
    assert trained.seconds > sum(row["seconds"] for row in trained.history[:2])


def test_it_can_be_interrupted_after_every_epoch():
    whole, _ = run(keep="best")
    folder = Folder()
    for _ in range(3):
        interrupted(folder, 1, keep="best")
    model, trained = run(Checkpointer(folder.read, folder.write), keep="best")
    assert difference(model, whole) == 0
    assert trained.epoch == 2


def test_without_the_kept_state_it_would_differ():
    """The test above can fail: dropout and order are not what a new start would draw."""
    whole, _ = run()
    short, _ = run(epochs=2)
    assert difference(short, whole) > 0


@pytest.mark.parametrize(("every", "writes"), [(0.0, 3), (1e9, 0)])
def test_the_state_is_kept_as_often_as_asked(every, writes):
    folder = Folder()
    run(Checkpointer(folder.read, folder.write, every=every))
    assert folder.writes == writes


def test_the_state_of_a_gpu_is_that_of_the_model_whatever_its_number(monkeypatch):
    """As torch keeps them: a state for each device, which a stopped training finds elsewhere."""
    states = {"cuda:0": torch.tensor([0]), "cuda:1": torch.tensor([1])}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[str(device)])
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda state, device: states.update({str(device): state})
    )
    monkeypatch.setattr(checkpointing, "_gpu", lambda model: torch.device("cuda:1"))
    folder = Folder()
    interrupted(folder, 1)
    monkeypatch.setattr(checkpointing, "_gpu", lambda model: torch.device("cuda:0"))
    run(Checkpointer(folder.read), epochs=1)
    assert states == {"cuda:0": torch.tensor([1]), "cuda:1": torch.tensor([1])}


def test_a_training_on_a_cpu_asks_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: 1 / 0)
    assert checkpointing._random_states(UNet(3, 2, base_channels=4, depth=2))["device"] is None


def test_keeping_changes_nothing():
    folder = Folder()
    assert difference(run(Checkpointer(folder.read, folder.write, every=0.0))[0], run()[0]) == 0


def test_a_state_of_something_else_is_named():
    folder = Folder()
    interrupted(folder, 1)
    kept = torch.load(checkpointing.io.BytesIO(folder.content), weights_only=True)
    kept["model"]["outc.conv.weight"] = torch.zeros(9)
    buffer = checkpointing.io.BytesIO()
    torch.save(kept, buffer)
    with pytest.raises(UserError, match="does not fit"):
        run(Checkpointer(buffer.getvalue))
    folder.content = b"nonsense"
    with pytest.raises(UserError, match="does not fit"):
        run(Checkpointer(folder.read, folder.write))


def test_a_state_that_is_a_program_is_not_run(tmp_path):
    class Program:
        def __reduce__(self):
            return (tmp_path / "executed").touch, ()

    buffer = checkpointing.io.BytesIO()
    torch.save({"history": [Program()]}, buffer)
    with pytest.raises(UserError, match="does not fit"):
        run(Checkpointer(buffer.getvalue))
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_training_stops_early_where_it_would_have():
    options = {"epochs": 9, "patience": 2, "scores": (0.1, 0.9, 0.2, 0.3)}
    whole, expected = run(**options)
    assert len(expected.history) == 4
    folder = Folder()
    for _ in range(3):
        interrupted(folder, 1, **options)
    model, trained = run(Checkpointer(folder.read, folder.write), **options)
    assert untimed(trained.history) == untimed(expected.history)
    assert difference(model, whole) == 0


def test_no_stop_is_asked_for_where_a_training_ends_early():
    """Its result is there then: what it waits for is to be scored and stored."""
    asked = []
    run(Checkpointer(stop=lambda: bool(asked.append(1))), epochs=9, patience=1, scores=(0.9, 0.1))
    assert len(asked) == 1
