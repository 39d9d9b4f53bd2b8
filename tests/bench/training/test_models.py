"""Every named model: the contract, and which options it reads."""

import pytest
import torch

from bench.components.built_in import BUILT_IN
from bench.errors import UserError
from bench.training import models
from bench.training.models import ModelSettings


def settings(name, **changes):
    return ModelSettings(name=name, base_channels=4, encoder="resnet18", **changes)


@pytest.mark.parametrize("name", BUILT_IN["network"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_model_maps_images_to_logits_of_their_size(name, channels):
    chosen = settings(name)
    margin = models.architecture(chosen).margin
    side = margin + 4 if margin else 2 * models.architecture(chosen).size_multiple
    network = models.build(chosen, channels, 5).eval()
    out = side - margin
    assert network(torch.zeros(2, channels, side, side)).shape == (2, 5, out, out)


@pytest.mark.parametrize("name", BUILT_IN["network"])
def test_initial_weights_come_from_torchs_seed(name):
    def weights(seed):
        torch.manual_seed(seed)
        return torch.cat([p.flatten() for p in models.build(settings(name), 3, 4).parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


@pytest.mark.parametrize("name", BUILT_IN["network"])
def test_options_that_are_read_are_those_that_change_the_network(name):
    others = {"base_channels": 6, "depth": 3, "upsampling": "bilinear", "norm": "none",
              "encoder": "resnet34", "window": 65}  # fmt: skip
    reads = models.architecture(settings(name)).reads
    plain = parameters(settings(name))
    for option, value in others.items():
        changed = settings(name).model_copy(update={option: value})
        assert (parameters(changed) != plain) == (option in reads), option
        assert (option in changed.effective()) == (option in reads)


def parameters(chosen):
    """Return how many there are, without drawing them."""
    with torch.device("meta"):
        return sum(p.numel() for p in models.build(chosen, 3, 4).parameters())


def test_settings_reach_the_papers_network():
    def weights(**chosen):
        torch.manual_seed(0)
        return models.build(settings(**chosen), 1, 2).state_dict()

    paper = weights(name="unet_paper")
    ours = weights(name="unet", padding="valid", norm="none", dropout=0.5, init="he")
    assert list(paper) == list(ours)
    assert all(map(torch.equal, paper.values(), ours.values()))
    other = weights(name="unet", padding="valid", norm="none", dropout=0.5)
    assert not torch.equal(other["inc.double_conv.0.weight"], ours["inc.double_conv.0.weight"])


@pytest.mark.parametrize("name", BUILT_IN["network"])
def test_sizes_that_are_named_as_nearest_are_taken(name):
    chosen = settings(name)
    for size in dict.fromkeys(models.architecture(chosen).nearest_sizes(8)):
        network = models.build(chosen, 1, 2).eval()
        out = size - models.architecture(chosen).margin
        assert out > 0
        assert network(torch.zeros(1, 1, size, size)).shape == (1, 2, out, out)


@pytest.mark.parametrize("name", BUILT_IN["network"])
def test_a_window_classifier_has_the_parameters_of_the_network_that_computes_all_pixels(name):
    architecture = models.architecture(settings(name))
    assert (architecture.window is not None) == (name == "sliding_window")
    if architecture.window is not None:
        network, window = architecture.build(1, 2), architecture.window(1, 2)
        assert window(torch.zeros(3, 1, window.window, window.window)).shape == (3, 2)
        assert window.window - 1 == architecture.margin
        shapes = {key: value.shape for key, value in window.state_dict().items()}
        assert shapes == {key: value.shape for key, value in network.state_dict().items()}


def test_initial_weights_of_a_window_can_be_hes():
    torch.manual_seed(0)
    full = models.build(ModelSettings(name="sliding_window", init="he"), 1, 2).layers.full
    assert full.weight.std().item() == pytest.approx((2 / (48 * 9 * 64 / 48)) ** 0.5, rel=0.02)
    assert not full.bias.any()


def test_an_unknown_encoder_is_found_before_anything_is_built():
    with pytest.raises(UserError, match="unknown encoder 'resnet19'; did you mean 'resnet1"):
        models.architecture(ModelSettings(name="smp_unet", encoder="resnet19")).check(3)
    models.architecture(ModelSettings(name="unet", encoder="resnet19")).check(3)  # does not read it
