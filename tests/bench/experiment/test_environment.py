"""Which device a name means here, and what is written down about a machine."""

import ast
import json
import sys
from importlib import metadata

import pytest
import torch

from bench.components.built_in import BUILT_IN
from bench.errors import UserError
from bench.experiment import code_digest, environment
from bench.measurements import MEASUREMENTS


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


# What computes no part of a result.
OTHERS = {
    "huggingface-hub",
    "pydantic",
    "pydantic-core",
    "pyyaml",
    "pooch",
    "nvidia-ml-py",
    "typing-extensions",
}


def test_every_package_that_computes_is_described():
    """Read from the sources: what the code of any trial imports that is not ours."""
    described = environment.describe(torch.device("cpu"), threads=1)
    distributions = metadata.packages_distributions()
    starts = [one.module for one in MEASUREMENTS.values()]
    components = [path.partition(":")[0] for names in BUILT_IN.values() for path in names.values()]
    imported = set()
    for module in code_digest.closure([*starts, *components]):
        for node in ast.walk(ast.parse(code_digest._source(module))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
    tops = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)
    used = {name for top in tops for name in distributions.get(top, ())}
    ours = {"unet-bench"}
    assert {"torch", "numpy", "scipy", "scikit-image"} <= used
    assert {name.lower().replace("_", "-") for name in used} - OTHERS - ours <= described.keys()
    assert all(described[name] for name in environment.PACKAGES)
