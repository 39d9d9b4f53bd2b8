"""Weights of an encoder from a file: in the network, checked before a run, keyed by their content."""

import huggingface_hub
import pytest
import safetensors.torch
import segmentation_models_pytorch as smp
import torch

from bench.components.names import Located
from bench.errors import UserError
from bench.training import models
from bench.training.models import ModelSettings


@pytest.fixture(scope="module")
def weights():
    """The weights of an encoder of 3 channels that nobody trained."""
    torch.manual_seed(5)
    network = smp.Unet("resnet18", encoder_weights=None, classes=2)
    return {name: value.clone() for name, value in network.encoder.state_dict().items()}


def settings(file, **changes):
    values = {"name": "smp_unet", "encoder": "resnet18", "encoder_weights": f"./{file.name}"}
    return ModelSettings.model_validate({**values, **changes}, context={"folder": file.parent})


def built(file, channels=3):
    torch.manual_seed(0)
    return models.build(settings(file), channels, 2)


# fmt: off
FORMS = {
    "of an encoder": lambda w: w,
    "of torchvision's classifier": lambda w: {**w, "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)},
    "of a whole network": lambda w: {**{f"encoder.{name}": value for name, value in w.items()}, "decoder.x": torch.zeros(1)},
    "of an older version": lambda w: {name: value for name, value in w.items() if "num_batches" not in name},
}
# fmt: on


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("form", FORMS)
def test_a_file_gives_the_encoder_its_weights(form, suffix, weights, tmp_path):
    file, held = tmp_path / f"w{suffix}", FORMS[form](weights)
    save = safetensors.torch.save_file if suffix == ".safetensors" else torch.save
    save(held, str(file))
    models.architecture(settings(file)).check(3)
    for name, value in built(file).encoder.state_dict().items():
        assert torch.equal(value, weights[name]), name


@pytest.mark.parametrize("channels", [1, 4])
def test_rgb_weights_are_adapted_to_other_channels_as_smp_does(channels, weights, tmp_path):
    torch.save(weights, tmp_path / "w.pth")
    found = built(tmp_path / "w.pth", channels).encoder
    expected = smp.encoders.get_encoder("resnet18", weights=None)
    expected.load_state_dict(dict(weights))
    expected.set_in_channels(channels, pretrained=True)
    for name, value in found.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name]), name


def test_weights_of_as_many_channels_as_the_images_are_taken_as_they_are(weights, tmp_path):
    torch.manual_seed(1)
    five = smp.encoders.get_encoder("resnet18", in_channels=5, weights=None).state_dict()
    torch.save(dict(five), tmp_path / "w.pth")
    assert torch.equal(built(tmp_path / "w.pth", 5).encoder.conv1.weight, five["conv1.weight"])
    with pytest.raises(UserError, match=r"w\.pth: 'conv1\.weight' has the shape \(64, 5, 7, 7\)"):
        models.architecture(settings(tmp_path / "w.pth")).check(4)


# fmt: off
WRONG = {
    "missing": (lambda f, w: None, "no such file|No such file"),
    "of another encoder": (lambda f, w: torch.save(dict(smp.encoders.get_encoder("resnet34", weights=None).state_dict()), f), "is no weight of this model"),
    "a part": (lambda f, w: torch.save({"conv1.weight": w["conv1.weight"]}, f), "has no "),
    "code": (lambda f, w: torch.save({"a": torch.nn.Conv2d}, f), "no checkpoint that can be trusted"),
    "text": (lambda f, w: f.write_text("hello"), "no checkpoint that can be trusted"),
}
# fmt: on


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_is_named_before_anything_is_trained(kind, weights, tmp_path):
    make, message = WRONG[kind]
    make(tmp_path / "w.pth", weights)
    with pytest.raises(UserError, match=message) as error:
        models.architecture(settings(tmp_path / "w.pth")).check(3)
    assert str(error.value).startswith(f"{tmp_path / 'w.pth'}: ")
    assert "\n" not in str(error.value)


def test_the_digest_is_of_what_is_in_the_file(weights, tmp_path):
    torch.save(weights, tmp_path / "w.pth")
    (tmp_path / "other.pth").write_bytes((tmp_path / "w.pth").read_bytes())
    found = [settings(tmp_path / name) for name in ("w.pth", "other.pth")]
    before = found[0].encoder_digest()
    assert before == found[1].encoder_digest() != {}
    torch.save({**weights, "fc.bias": torch.ones(3)}, tmp_path / "w.pth")
    assert settings(tmp_path / "w.pth").encoder_digest() != before
    assert settings(tmp_path / "w.pth", name="unet").encoder_digest() == {}
    with pytest.raises(UserError, match=r"gone\.pth"):
        settings(tmp_path / "gone.pth").encoder_digest()


def test_a_name_is_no_file_and_keeps_its_key():
    named = ModelSettings(name="smp_unet", encoder_weights="imagenet")
    assert named.encoder_file is None
    assert not isinstance(named.encoder_weights, Located)
    assert named.effective()["encoder_weights"] == "imagenet"
    assert named.encoder_digest() == {}


@pytest.mark.parametrize(
    ("encoder", "name", "message"),
    [
        ("resnet18", "imagnet", "no weights 'imagnet' of resnet18; did you mean 'imagenet'"),
        ("resnet18", "weights.pth", r"a file is named as \./weights\.pth"),
        ("resnext101_32x16d", "imagenet", "known: instagram, ssl, swsl"),
    ],
)
def test_a_name_that_is_not_there_is_refused(encoder, name, message):
    given = ModelSettings(name="smp_unet", encoder=encoder, encoder_weights=name)
    with pytest.raises(UserError, match=message):
        models.architecture(given).check(3)


def test_without_a_network_the_download_fails_in_one_line(monkeypatch):
    def refuse(*args, **options):
        raise OSError("We couldn't connect\nto the hub")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    given = ModelSettings(name="smp_unet", encoder="resnet18", encoder_weights="imagenet")
    models.architecture(given).check(3)  # which downloads nothing
    with pytest.raises(UserError) as error:
        models.architecture(given).fetch()
    assert "imagenet of resnet18" in str(error.value)
    assert "cannot be downloaded (We couldn't connect to the hub)" in str(error.value)
    assert "\n" not in str(error.value)
    models.architecture(ModelSettings(name="smp_unet")).fetch()
