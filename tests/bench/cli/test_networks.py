"""``convert`` and ``export`` on the command line."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from bench.experiment.code_digest import ROOT
from bench.store import onnx_export
from bench.store.folder import Store
from tests.bench.made_stores import details_json
from unet import UNet


@pytest.fixture
def family(here):
    """A folder with a checkpoint as the milesial code writes it on several GPUs."""
    torch.manual_seed(0)
    model = UNet(3, 2, base_channels=2)
    model(torch.randn(2, 3, 32, 32))
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({**state, "mask_values": [0, 255]}, "family.pth")
    return here


# ------------------------------------------------------------------------------ convert


def test_to_safetensors_and_back_bit_for_bit(family, bench):
    status, out, err = bench("convert", "family.pth", "ours.safetensors")
    assert (status, err) == (0, "")
    assert out.startswith(
        "weights: ours.safetensors (in_channels 3, num_classes 2, base_channels 2,"
    )
    assert bench("convert", "ours.safetensors", "back.pth")[0] == 0
    assert bench("convert", "back.pth", "again.safetensors")[0] == 0
    before, after = torch.load("family.pth"), torch.load("back.pth")
    assert after.pop("mask_values") == before.pop("mask_values")
    assert [f"module.{name}" for name in after] == list(before)
    for name, value in after.items():
        assert torch.equal(value, before[f"module.{name}"]), name
        assert value.dtype == before[f"module.{name}"].dtype, name
    assert (family / "ours.safetensors").read_bytes() == (family / "again.safetensors").read_bytes()
    assert safetensors.torch.load_file("ours.safetensors").keys() == after.keys()


def test_a_network_that_the_family_has_not_is_pointed_out(family, bench):
    torch.save(UNet(1, 2, base_channels=2, depth=1).state_dict(), "shallow.pt")
    status, _, err = bench("convert", "shallow.pt", "shallow.pth")
    assert status == 0
    assert err.startswith("warning: shallow.pth: milesial/Pytorch-UNet has no such network")
    assert bench("convert", "shallow.pth", "shallow.safetensors")[2] == ""


# ------------------------------------------------------------------------------- export


@pytest.fixture
def quickly(monkeypatch):
    """An exporter that takes no time; returns the networks that it was given."""
    given = []

    def to_onnx(found):
        given.append(found)
        return onnx_export.Exported(b"ONNX", 1e-7, 2.0, ((1, 3, 4, 4),))

    monkeypatch.setattr(onnx_export, "check_installed", lambda: None)
    monkeypatch.setattr(onnx_export, "to_onnx", to_onnx)
    return given


def test_a_trial_that_was_run_is_exported_if_it_is_right(finished, bench, monkeypatch):
    pytest.importorskip("onnxscript", reason="the extra [export] is not installed")
    onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    arm = ("--arm", "ce", "--seed", 0)
    status, out, err = bench("export", "small", *arm, "--output", "net/model.onnx")
    assert (status, err) == (0, "")
    assert "input: N×3×H×W float32, pixel / 127.5 - 1, RGB; height and width from 4 pixels" in out
    assert "differ by at most" in out
    session = onnxruntime.InferenceSession("net/model.onnx", providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    classes = json.loads(about["classes"])
    assert (about["arm"], about["seed"]) == ("ce", "0")
    assert "sky" in classes
    logits = session.run(None, {"images": np.zeros((2, 3, 9, 7), np.float32)})[0]
    assert logits.shape == (2, len(classes), 9, 7)

    def zeros(session, images):
        return np.zeros((len(images), len(classes), *images.shape[2:]))

    graph = onnx.load("net/model.onnx")  # which takes seconds to make
    monkeypatch.setattr(onnx_export, "_graph", lambda trained: graph)
    monkeypatch.setattr(onnx_export, "_run", zeros)
    status, out, err = bench("export", "small", *arm, "--output", "net/wrong.onnx")
    assert (status, out) == (2, "")
    assert err.startswith("error: export: logits of the ONNX file differ from torch's by up to ")
    assert [path.name for path in (finished / "net").iterdir()] == ["model.onnx"]


def test_a_checkpoint_is_exported_as_it_is_said_to_be(family, bench, quickly):
    status, out, _ = bench("export", "family.pth")
    assert status == 0
    assert out.startswith("taken for a network that pads its convolutions")
    assert (family / "model.onnx").read_bytes() == b"ONNX"
    status, out, _ = bench("export", "family.pth", "--padding", "valid", "--force")
    assert status == 0
    assert "height and width from 188 pixels in steps of 16; logits are 184 pixels smaller" in out
    assert [found.margin for found in quickly] == [0, 184]


MISTAKES = {
    "no such file": (["convert", "famly.pth", "a.pt"], "famly.pth: cannot be read (No such file"),
    "no format": (["convert", "family.pth", "a.onnx"], "a.onnx: its name must end in"),
    "no U-Net": (["convert", "other.pt", "a.pt"], "other.pt: has no 'inc.double_conv.0.weight'"),
    "there": (["convert", "family.pth", "family.pth"], "family.pth: exists already; --force"),
    "there too": (
        ["export", "family.pth", "--output", "small.yaml"],
        "small.yaml: exists already",
    ),
    "itself": (["export", "family.pth", "--output", "family.pth", "--force"], "is what is to"),
    "no source": (["export", "famly.pth"], "famly.pth: no file, and no experiment in results"),
    "a file's arm": (["export", "family.pth", "--arm", "ce"], "family.pth is a file; --arm,"),
    "padding": (["export", "family.pth", "--padding", "full"], "'--padding'"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(what, family, bench, quickly):
    torch.save({"weight": torch.zeros(3)}, "other.pt")
    before = {path: path.read_bytes() for path in family.iterdir()}
    arguments, message = MISTAKES[what]
    status, out, err = bench(*arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in family.iterdir()} == before


def test_a_run_without_weights_says_how_to_keep_them(finished, bench, quickly):
    store = Store(finished / "results" / "small")
    for record in list(store.records()):
        result = record.accuracy.model_copy(update={"checkpoint": None})
        store.commit(record.model_copy(update={"result": result}), details_json(store, record.key))
    status, _, err = bench("export", "small", "--arm", "ce", "--seed", 0)
    assert status == 2
    assert err.startswith("error: small: ce, seed 0: its weights were not kept; to train it again,")
    assert Path(err.partition("remove ")[2].partition(" and run")[0]).is_file()
    assert "did you mean 'small'?" in bench("export", "smal")[2]
    assert "--padding: small is an exp" in bench("export", "small", "--padding", "same")[2]


def test_the_commands_import_torch_only_when_they_run():
    check = "import bench.cli.export, bench.cli.convert, sys; print([m for m in ('torch', 'onnx') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
