"""A step: network and loss in one graph; cuDNN's way of choosing is part of the settings."""

import pytest
import torch
from torch.backends import cudnn

from bench.components.built_in import BUILT_IN
from bench.experiment.trial import READS
from bench.training import losses
from bench.training.convolutions import tried_by_cudnn
from bench.training.step import Step, TrainSettings
from unet import UNet

CPU = torch.device("cpu")


def made(**settings):
    torch.manual_seed(0)
    network = UNet(3, 4, base_channels=4, depth=2, padding="valid")
    step = Step(network, TrainSettings(**settings), device=CPU, steps_per_epoch=10)
    labels = torch.randint(4, (2, 60, 60))
    labels[:, :20] = 255
    batch = [torch.randn(2, 3, 60, 60), labels]
    if losses.takes_weights(settings.get("loss", "ce")):
        batch.append(torch.rand(2, 60, 60))
    return step, batch


OURS = [loss for loss in BUILT_IN["loss"] if not loss.startswith("smp:")]


@pytest.mark.parametrize("loss", OURS)
def test_network_and_loss_are_one_graph(loss):
    step, batch = made(loss=loss, precision="bf16")
    step.model = torch.nn.Conv2d(3, 4, 41)  # of the U-Net's margin, and quickly traced
    torch.compiler.reset()
    explained = torch._dynamo.explain(step.loss_of)(*batch)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0), explained.break_reasons


def test_what_is_compiled_is_the_loss_with_its_network(monkeypatch):
    compiled = []

    def compile(function, *, mode):
        compiled.append((function, mode))
        return torch.no_grad()(lambda *args: torch.zeros(()))

    monkeypatch.setattr(torch, "compile", compile)
    step, batch = made(compile="max-autotune")
    assert compiled == [(step.model, "max-autotune"), (step._loss_of, "max-autotune")]
    assert step.forward(*batch) == 0


def test_the_loss_is_that_of_the_logits():
    step, (inputs, labels) = made(loss="dice+ce")
    expected = step.loss(step.model(inputs), labels[:, 20:-20, 20:-20])
    assert step.forward(inputs, labels) == expected


@pytest.mark.parametrize("before", [False, True])
def test_how_cudnn_chooses_is_set_and_set_back(monkeypatch, before):
    monkeypatch.setattr(cudnn, "benchmark", before)

    def fails():
        with tried_by_cudnn(not before):
            assert cudnn.benchmark is not before
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert cudnn.benchmark is before


def test_only_cudnn_timing_its_algorithms_is_part_of_what_decides_a_result():
    assert "cudnn_benchmark" not in TrainSettings().effective()
    assert TrainSettings(cudnn_benchmark=True).effective()["cudnn_benchmark"] is True
    assert {work for work, read in READS.items() if "cudnn_benchmark" in read} == {
        "forward",
        "forward+backward",
        "train_step",
    }
