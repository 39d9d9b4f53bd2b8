"""``convert`` and ``export`` on the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from bench.__main__ import main
from bench.experiment.code_digest import ROOT
from bench.store import onnx_export
from unet import UNet

SMALL = """
name: small
data: {name: scenes, train: 2, val: 1, test: 1, size: 48}
model: {base_channels: 2, depth: 2}
train: {crop_size: 32, batch_size: 2, epochs: 1}
evaluate: {panels: 0, checkpoint: true}
factors: {model.upsampling: [bilinear]}
seeds: 1
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a checkpoint as the milesial code writes it on several GPUs."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = UNet(3, 2, base_channels=2)
    model(torch.randn(2, 3, 32, 32))
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({**state, "mask_values": [0, 255]}, "family.pth")
    (tmp_path / "small.yaml").write_text(SMALL)
    return tmp_path


def bench(capsys, *arguments):
    """Run a command line; return its exit status and what it printed on each stream."""
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


# ------------------------------------------------------------------------------ convert


def test_to_safetensors_and_back_bit_for_bit(here, capsys):
    status, out, err = bench(capsys, "convert", "family.pth", "ours.safetensors")
    assert (status, err) == (0, "")
    assert out.startswith(
        "weights: ours.safetensors (in_channels 3, num_classes 2, base_channels 2,"
    )
    assert bench(capsys, "convert", "ours.safetensors", "back.pth")[0] == 0
    assert bench(capsys, "convert", "back.pth", "again.safetensors")[0] == 0
    before, after = torch.load("family.pth"), torch.load("back.pth")
    assert after.pop("mask_values") == before.pop("mask_values")
    assert [f"module.{name}" for name in after] == list(before)
    for name, value in after.items():
        assert torch.equal(value, before[f"module.{name}"]), name
        assert value.dtype == before[f"module.{name}"].dtype, name
    assert (here / "ours.safetensors").read_bytes() == (here / "again.safetensors").read_bytes()
    assert safetensors.torch.load_file("ours.safetensors").keys() == after.keys()


def test_a_network_that_the_family_has_not_is_pointed_out(here, capsys):
    torch.save(UNet(1, 2, base_channels=2, depth=1).state_dict(), "shallow.pt")
    status, _, err = bench(capsys, "convert", "shallow.pt", "shallow.pth")
    assert status == 0
    assert err.startswith("warning: shallow.pth: milesial/Pytorch-UNet has no such network")
    assert bench(capsys, "convert", "shallow.pth", "shallow.safetensors")[2] == ""


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


def test_a_trial_that_was_run_is_exported_if_it_is_right(here, capsys, monkeypatch):
    pytest.importorskip("onnxscript", reason="the extra [export] is not installed")
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
    assert bench(capsys, "run", "small.yaml", "--quiet") == (0, "", "")
    status, out, err = bench(capsys, "export", "small", "--output", "net/model.onnx")
    assert (status, err) == (0, "")
    assert "input: N×3×H×W float32, pixel / 127.5 - 1, RGB; height and width from 4 pixels" in out
    assert "differ by at most" in out
    session = onnxruntime.InferenceSession("net/model.onnx", providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    classes = json.loads(about["classes"])
    assert (about["arm"], about["seed"]) == ("bilinear", "0")
    assert "sky" in classes
    logits = session.run(None, {"images": np.zeros((2, 3, 9, 7), np.float32)})[0]
    assert logits.shape == (2, len(classes), 9, 7)

    def zeros(session, images):
        return np.zeros((len(images), len(classes), *images.shape[2:]))

    monkeypatch.setattr(onnx_export, "_run", zeros)
    status, out, err = bench(capsys, "export", "small", "--output", "net/wrong.onnx")
    assert (status, out) == (2, "")
    assert err.startswith("error: export: logits of the ONNX file differ from torch's by up to ")
    assert [path.name for path in (here / "net").iterdir()] == ["model.onnx"]


def test_a_checkpoint_is_exported_as_it_is_said_to_be(here, capsys, quickly):
    status, out, _ = bench(capsys, "export", "family.pth")
    assert status == 0
    assert out.startswith("taken for a network that pads its convolutions")
    assert (here / "model.onnx").read_bytes() == b"ONNX"
    status, out, _ = bench(capsys, "export", "family.pth", "--padding", "valid", "--force")
    assert status == 0
    assert "height and width from 188 pixels in steps of 16; logits are 184 pixels smaller" in out
    assert [found.margin for found in quickly] == [0, 184]


MISTAKES = {
    "no such file": (["convert", "famly.pth", "a.pt"], "famly.pth: cannot be read (No such file"),
    "no format": (["convert", "family.pth", "a.onnx"], "a.onnx: its name has to end in"),
    "no U-Net": (["convert", "other.pt", "a.pt"], "other.pt: has no 'inc.double_conv.0.weight'"),
    "there": (["convert", "family.pth", "family.pth"], "family.pth: is there already; --force"),
    "there too": (
        ["export", "family.pth", "--output", "small.yaml"],
        "small.yaml: is there already",
    ),
    "itself": (["export", "family.pth", "--output", "family.pth", "--force"], "is what is to"),
    "no source": (["export", "famly.pth"], "famly.pth: no file, and no experiment in results"),
    "a file's arm": (["export", "family.pth", "--arm", "ce"], "family.pth is a file; --arm,"),
    "padding": (["export", "family.pth", "--padding", "full"], "'--padding'"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_and_writes_nothing(what, here, capsys, quickly):
    torch.save({"weight": torch.zeros(3)}, "other.pt")
    before = {path: path.read_bytes() for path in here.iterdir()}
    arguments, message = MISTAKES[what]
    status, out, err = bench(capsys, *arguments)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in here.iterdir()} == before


def test_a_run_without_weights_says_how_to_keep_them(here, capsys, quickly):
    bench(capsys, "run", "small.yaml", "--quiet", "--set", "evaluate.checkpoint=false")
    status, _, err = bench(capsys, "export", "small")
    assert status == 2
    assert err == (
        "error: small: bilinear, seed 0: its weights were not kept; set evaluate.checkpoint: true, "
        "and run it again\n"
    )
    assert "did you mean 'small'?" in bench(capsys, "export", "smal")[2]
    assert "--padding: small is an exp" in bench(capsys, "export", "small", "--padding", "same")[2]


def test_the_verbs_import_torch_only_when_they_run():
    check = (
        "import bench.cli.networks, sys; print([m for m in ('torch', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
