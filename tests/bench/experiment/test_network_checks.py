"""An encoder's weights that no arm's network reads are refused; in a sweep, some read them."""

import pytest

from bench.errors import UserError
from bench.experiment.network_checks import check_read
from bench.training.models import ModelSettings

UNET, SMP = ModelSettings(), ModelSettings(name="smp_unet")
PRETRAINED = ModelSettings(name="unet", encoder_weights="imagenet")
OTHER = ModelSettings(name="fcn_resnet50", encoder="resnet18")


@pytest.mark.parametrize(
    "settings",
    [
        [UNET],
        [UNET, SMP, ModelSettings(name="sliding_window")],
        [PRETRAINED, ModelSettings(name="smp_unet", encoder_weights="imagenet")],
        [PRETRAINED, SMP],
        [ModelSettings(name="smp_unet", base_channels=8, depth=2)],
    ],
)
def test_what_some_arm_reads_passes(settings):
    check_read("e", settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([PRETRAINED, UNET], r"model.encoder_weights: 'imagenet' .* \(unet\) .*; smp_unet would"),
        ([OTHER, UNET], r"model.encoder: 'resnet18' .* \(fcn_resnet50, unet\)"),
    ],
)
def test_what_no_arm_reads_is_named(settings, message):
    with pytest.raises(UserError, match=message):
        check_read("e", settings)
