"""ONNX files: onnxruntime gives what torch gives, at sizes and numbers that were never traced."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from bench.components.built_in import BUILT_IN
from bench.errors import UserError
from bench.store import load_file, load_model, onnx_export
from bench.store.folder import Store
from bench.store.plans import Plan, PlannedTrial
from bench.store.records import Record
from bench.store.results import AccuracyResult
from bench.training import models
from bench.training.models import ModelSettings
from bench.training.networks.unet import sides
from tests.bench.made_stores import timing
from unet import UNet

onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
pytest.importorskip("onnxscript", reason="the extra [export] is not installed")

CLASSES = ["sky", "grass", "Kühe"]


def network(settings, channels=3):
    """A network with running statistics and weights as if it had been trained."""
    torch.manual_seed(0)
    model = models.build(settings, channels, len(CLASSES))
    side = models.architecture(settings).nearest_sizes(64)[1]
    model.train()(torch.randn(2, channels, side, side))
    return model


def stored(
    folder,
    settings,
    *,
    channels=3,
    checkpoint=True,
    status="done",
    measure="accuracy",
    seeds=(4, 5),
):
    """A store with one trial of such a network, and others not measured; returns both."""
    store = Store(folder)
    model = network(settings, channels)
    blob = store.put(safetensors.torch.save(model.state_dict()), ".safetensors")
    # fmt: off
    result = AccuracyResult(
        classes=CLASSES, palette=[(0, 0, 1), (0, 2, 0), (3, 0, 0)], split="val", chosen_epoch=1,
        metrics={}, counts={}, checkpoint=blob if checkpoint else None,
    )
    record = Record(
        key="k1", experiment="e", measure=measure, status=status, reason=None if status == "done" else "why not",
        arm={"train.loss": "dice"}, label="dice", seed=4, settings={"model": settings.effective()}, provenance={},
        environment={}, started="2026-01-02T03:04:05Z", seconds=1.0,
        result=None if status != "done" else result if measure == "accuracy" else timing(),
    )
    # fmt: on
    store.commit(record, {})
    planned = [(loss, seed) for seed in seeds for loss in ("dice", "ce")]
    trials = [
        PlannedTrial(key=f"k{number}", label=loss, arm={"train.loss": loss}, seed=seed)
        for number, (loss, seed) in enumerate(planned, 1)
    ]
    metric = "mean_iou" if measure == "accuracy" else "images_per_second"
    store.write_plan(Plan(name="e", measure=measure, metric=metric, seeds=seeds, trials=trials))
    return store, model


def onnx_logits(content, images):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"images": images})[0]


def agree(exported, model, shapes):
    model.eval()
    for shape in shapes:
        images = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        with torch.no_grad():
            expected = model(torch.from_numpy(images)).numpy()
        found = onnx_logits(exported.content, images)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.ptp(expected))


def test_a_padded_network_takes_every_size(tmp_path):
    model = network(ModelSettings(base_channels=2, depth=2, upsampling="bilinear"))
    torch.save({**model.state_dict(), "mask_values": [0, 7, 9]}, tmp_path / "w.pth")
    found = load_file.of_file(tmp_path / "w.pth", padding="same")
    exported = onnx_export.to_onnx(found)
    agree(exported, model, [(1, 3, 4, 4), (5, 3, 23, 18), (2, 3, 64, 31)])
    assert exported.difference <= 1e-5 * exported.spread
    assert str(tmp_path).encode() not in exported.content
    assert b"site-packages" not in exported.content
    metadata = onnx.load_from_string(exported.content).metadata_props
    about = {entry.key: entry.value for entry in metadata}
    assert about == {"mask_values": "[0, 7, 9]", "smallest": "4", "step": "1", "margin": "0"}


def test_an_unpadded_trial_takes_every_size_that_fits(tmp_path):
    settings = ModelSettings(name="unet_paper", base_channels=2, depth=1)
    store, model = stored(tmp_path / "e", settings, channels=1)
    found = load_model.of_trial(store, arm="dice", seed=4)
    assert (found.in_channels, found.smallest, found.step, found.margin) == (1, 18, 2, 16)
    exported = onnx_export.to_onnx(found)
    agree(exported, model, [(1, 1, 18, 18), (3, 1, 30, 46)])
    metadata = onnx.load_from_string(exported.content).metadata_props
    about = {entry.key: entry.value for entry in metadata}
    assert json.loads(about["classes"]) == CLASSES
    assert json.loads(about["palette"])[2] == [3, 0, 0]
    del about["classes"], about["palette"]
    assert about == {
        "input": "pixel / 127.5 - 1",
        "experiment": "e",
        "arm": "dice",
        "seed": "4",
        "trial": "k1",
        "smallest": "18",
        "step": "2",
        "margin": "16",
    }


# What each network of the harness is made small by.
SMALL = {
    "smp_unet": {"encoder": "mobilenet_v2", "encoder_weights": "imagenet"},  # never downloaded
    "sliding_window": {"window": 65},
}


@pytest.mark.scale
@pytest.mark.parametrize("norm", ["batch", "none"])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_every_unet_can_be_exported(padding, upsampling, norm):
    options = {"padding": padding, "upsampling": upsampling, "norm": norm}
    model = network(ModelSettings(base_channels=2, depth=3, **options))
    side = {"same": 29, "valid": 116}[padding]
    found = load_model.Trained(model, 3, *sides(model.depth, model.padding), model.margin)
    agree(onnx_export.to_onnx(found), model, [(1, 3, side, side + 8), (4, 3, side + 16, side)])


@pytest.mark.scale
@pytest.mark.parametrize("name", BUILT_IN["network"])
def test_every_network_can_be_exported(name, tmp_path):
    built = {"base_channels": 2, "depth": 3, **SMALL.get(name, {}), "encoder_weights": None}
    store, model = stored(tmp_path / "e", ModelSettings(name=name, **built))
    settings = ModelSettings(name=name, **{**built, **SMALL.get(name, {})})
    record = store.read("k1")
    record.settings["model"].update(settings.effective())
    store.commit(record, {})
    found = load_model.of_trial(store, key="k1")
    exported = onnx_export.to_onnx(found)
    side = models.architecture(settings).nearest_sizes(128)[1]
    agree(exported, model, [(1, 3, side, side + 32), (3, 3, side + 64, side)])


# ------------------------------------------------------------------------------ refusals


def tiny(**changes):
    torch.manual_seed(0)
    model = UNet(1, 2, base_channels=2, depth=1, norm="none")
    with torch.no_grad():
        for name, value in changes.items():
            model.outc.conv.get_parameter(name).fill_(value)
    return load_model.Trained(model, 1, 2, 1, 0)


class Wrong:
    """A runtime that computes the network of other weights, or none at all."""

    def __init__(self, found, change):
        self.found, self.change = found, change

    def run(self, names, feed):
        with torch.no_grad():
            logits = self.found.network(torch.from_numpy(feed["images"])).numpy()
        return [self.change(logits)]


def failing(logits):
    raise RuntimeError("no kernel. And much advice.")


# fmt: off
DIFFERENT = {
    "a little": (lambda x: x + 2e-4 * np.ptp(x), "logits of the ONNX file differ from torch's by up to"),
    "no number": (lambda x: x * np.float32("nan"), "differ from torch's by up to nan"),
    "a size": (lambda x: x[:, :, 1:], "logits are (1, 2, 1, 5), in torch (1, 2, 2, 5)"),
    "an error": (failing, "onnxruntime does not run it (no kernel)"),
}
# fmt: on


@pytest.mark.parametrize("how", DIFFERENT)
def test_a_file_that_computes_something_else_is_refused(how, monkeypatch):
    change, message = DIFFERENT[how]
    found = tiny()
    monkeypatch.setattr(onnx_export, "_session", lambda content: Wrong(found, change))
    with pytest.raises(UserError) as error:
        onnx_export._checked(b"", found, np.random.default_rng(0))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_agrees_is_taken(monkeypatch):
    found = tiny()
    monkeypatch.setattr(onnx_export, "_session", lambda content: Wrong(found, lambda x: x))
    exported = onnx_export._checked(b"", found, np.random.default_rng(0))
    assert exported.difference == 0
    assert exported.checked == ((1, 1, 2, 5), (3, 1, 4, 3))


def test_a_constant_network_can_be_compared(monkeypatch):
    found = tiny(weight=0.0, bias=0.5)
    monkeypatch.setattr(onnx_export, "_session", lambda content: Wrong(found, lambda x: x))
    assert onnx_export._checked(b"", found, np.random.default_rng(0)).spread == 0


def test_a_network_that_torch_cannot_export_is_refused():
    class Branching(torch.nn.Module):
        def forward(self, images):
            return images if images.sum() > 0 else -images

    with pytest.raises(
        UserError, match=r"^export: torch makes no ONNX of this network \("
    ) as error:
        onnx_export.to_onnx(load_model.Trained(Branching(), 1, 2, 1, 0))
    assert "\n" not in str(error.value)


def test_a_network_beyond_two_gibibytes_is_refused():
    with torch.device("meta"):
        model = UNet(1, 2, base_channels=512)
    with pytest.raises(UserError, match="larger than the 2 GiB"):
        onnx_export.to_onnx(load_model.Trained(model, 1, 16, 1, 0))


@pytest.mark.parametrize("missing", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_library_is_named(missing, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else name)
    with pytest.raises(
        UserError, match=rf"{missing} is missing; pip install 'unet-bench\[export\]'"
    ):
        onnx_export.to_onnx(tiny())


# fmt: off
TRIALS = {
    "several": ({}, "e: say which trial with --arm: dice, ce"),
    "several seeds": ({"arm": "ce"}, "e: say which trial with --seed: 4, 5"),
    "no such arm": ({"arm": "dica"}, "e: no arm 'dica'; did you mean 'dice'?"),
    "no such seed": ({"arm": "dice", "seed": 9}, "e: no seed 9; known: 4, 5"),
    "no such key": ({"key": "x"}, "e: no such trial"),
    "not measured": ({"key": "k4"}, "e: ce, seed 5: not measured yet"),
}
RECORDS = {
    "no weights": ({"checkpoint": False}, "e: dice, seed 4: its weights were not kept; to train it again, set evaluate.checkpoint: true, remove FOLDER/trials/k1.json and run"),
    "failed": ({"status": "failed"}, "e: dice, seed 4: failed: why not"),
    "speed": ({"measure": "throughput"}, "e: dice, seed 4: measures throughput, and trains nothing that is kept"),
}
# fmt: on
TINY = ModelSettings(base_channels=2, depth=1)


@pytest.mark.parametrize("what", TRIALS)
def test_a_trial_that_is_not_the_one_is_refused(what, tmp_path):
    wanted, message = TRIALS[what]
    store, _ = stored(tmp_path / "e", TINY)
    with pytest.raises(UserError) as error:
        load_model.of_trial(store, **wanted)
    assert str(error.value) == message


@pytest.mark.parametrize("what", RECORDS)
def test_a_trial_without_a_network_is_refused(what, tmp_path):
    options, message = RECORDS[what]
    store, _ = stored(tmp_path / "e", TINY, seeds=(4,), **options)
    with pytest.raises(UserError) as error:
        load_model.of_trial(store, arm="dice")
    assert str(error.value).replace(str(store.folder), "FOLDER") == message


def test_damaged_weights_are_named(tmp_path):
    store, _ = stored(tmp_path / "e", TINY)
    blob = next((tmp_path / "e" / "blobs").iterdir())
    blob.write_bytes(blob.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"blobs.*damaged \(its content does not match its name\)"):
        load_model.of_trial(store, key="k1")


def test_settings_of_another_version_are_named(tmp_path):
    store, _ = stored(tmp_path / "e", TINY)
    record = store.read("k1")
    record.settings["model"]["attention"] = True
    store.commit(record, {})
    with pytest.raises(UserError, match=r"k1.json: its network is of another version"):
        load_model.of_trial(store, key="k1")


def test_weights_of_another_network_are_named(tmp_path):
    store, _ = stored(tmp_path / "e", TINY)
    record = store.read("k1")
    record.settings["model"]["base_channels"] = 3
    store.commit(record, {})
    with pytest.raises(UserError, match=r"blobs/\w+.safetensors: .* has the shape"):
        load_model.of_trial(store, key="k1")


def test_arms_of_one_label_have_the_names_of_reports():
    trials = [
        PlannedTrial(key=f"k{r}", arm={"train.power": r}, label="poly", seed=0) for r in (1, 2)
    ]
    plan = Plan(name="e", measure="accuracy", metric="mean_iou", seeds=(0,), trials=tuple(trials))
    assert [trial.label for trial in plan.labelled()] == ["poly", "poly (2)"]
