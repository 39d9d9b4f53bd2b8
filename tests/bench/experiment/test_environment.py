"""Which device a name means here, and what is written down about a machine."""

import json

import pytest
import torch

from bench.errors import UserError
from bench.experiment import environment


@pytest.fixture
def machine(monkeypatch):
    """Pretend to have some GPUs, and Apple's or not."""

    def pretend(*, cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("has", "chosen"),
    [
        ({"cuda": 2, "mps": True}, "cuda"),
        ({"cuda": 0, "mps": True}, "mps"),
        ({"cuda": 0, "mps": False}, "cpu"),
    ],
)
def test_auto_takes_the_first_there_is(machine, has, chosen):
    machine(**has)
    assert environment.find_device("auto") == torch.device(chosen)


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "cpu"])
def test_a_device_that_is_there(machine, name):
    machine(cuda=2)
    assert environment.find_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:2", "mps"])
def test_a_device_that_is_not(machine, name):
    machine(cuda=0 if name == "cuda" else 2)
    with pytest.raises(UserError, match=f"--device: this machine has no '{name}'"):
        environment.find_device(name)


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:0", "cuda:-1", ""])
def test_a_name_that_is_none(name):
    with pytest.raises(UserError, match="--device: unknown device"):
        environment.find_device(name)


def test_a_description_can_be_stored_and_names_nobody():
    described = environment.describe(torch.device("cpu"), threads=2)
    json.dumps(described, allow_nan=False)
    assert described["torch"] == torch.__version__
    assert described["device"] == "cpu"
    assert described["device_name"] == described["cpu"] != ""
    assert not {"hostname", "user", "path"} & set(described)
