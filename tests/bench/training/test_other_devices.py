"""Networks, losses and predictions on a GPU that is not there: shapes and devices, and no values.

An operation on tensors of two devices raises here as it does on a GPU. What torch cannot pretend is
a backward pass on CUDA; it is done on the device "meta", which is neither CUDA nor the CPU.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from bench.components.built_in import BUILT_IN
from bench.data.normalisation import EIGHT_BITS, Normalisation
from bench.evaluation.predict import Predictor
from bench.training import losses, models
from bench.training.models import ModelSettings
from bench.training.step import Step, TrainSettings, to_device
from unet import metrics
from unet.overlap import class_sums
from unet.tiling import predict_tiled

GPU, META = torch.device("cuda:0"), torch.device("meta")
CLASSES, SIDE = 5, 32
# Torch gives the few classes of theirs back in rows, as its bilinear kernel does on CUDA.
CONTIGUOUS = ("fcn_resnet50", "deeplabv3_resnet50")
TIED_TO_VALUES = ("smp:jaccard", "smp:lovasz", "smp:focal", "smp:tversky")  # how many pixels count


@pytest.fixture
def gpu():
    """Pretend to have a GPU; numbers that depend on values have no value there."""
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()):
        yield GPU


def built(device, **settings):
    """Return a network whose weights are made on a device, channels last."""
    with device:
        model = models.build(ModelSettings(**settings), 3, CLASSES)
    for parameter in model.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def is_channels_last(tensor):
    return tensor.is_contiguous(memory_format=torch.channels_last)


VARIANTS = [
    *({"name": name} for name in BUILT_IN["network"]),
    {"name": "unet", "upsampling": "bilinear"},
    {"name": "unet", "padding": "valid", "norm": "none", "dropout": 0.5},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_a_network_stays_on_its_gpu_and_channels_last(gpu, options):
    options = {"base_channels": 16, "depth": 2, "window": 65, **options}
    model = built(gpu, **options)
    seen = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    side = models.architecture(ModelSettings(**options)).nearest_sizes(96)[1]
    images = torch.rand(2, 3, side, side, device=gpu).contiguous(memory_format=torch.channels_last)
    logits = model(images)
    assert logits.shape[:2] == (2, CLASSES)
    assert {value.device for value in [logits, *seen]} == {gpu}
    assert is_channels_last(logits) or options["name"] in CONTIGUOUS
    assert all(is_channels_last(value) for value in seen)


def batch_on(device, *, weights):
    """Return logits, labels and perhaps weights of pixels."""
    shape = 2, SIDE, SIDE
    logits = torch.rand(2, CLASSES, SIDE, SIDE, device=device, requires_grad=True)
    labels = torch.zeros(shape, dtype=torch.int64, device=device)
    return [logits, labels, *([torch.ones(shape, device=device)] if weights else [])]


OWN = [name for name in BUILT_IN["loss"] if name not in TIED_TO_VALUES]


@pytest.mark.parametrize("name", OWN)
def test_a_loss_is_where_the_logits_are(gpu, name):
    loss = losses.build(name, {})
    assert loss(*batch_on(gpu, weights=losses.takes_weights(name))).device == gpu


def test_weights_of_classes_go_to_the_gpu(gpu):
    loss = losses.build("ce", {"weights": [1.0, 2.0, 3.0, 4.0, 5.0]})
    assert loss(*batch_on(gpu, weights=False)).device == gpu


@pytest.mark.parametrize("name", OWN)
def test_a_gradient_is_where_the_logits_are(name):
    batch = batch_on(META, weights=losses.takes_weights(name))
    losses.build(name, {})(*batch).backward()
    assert batch[0].grad.device == META


def test_every_version_of_the_sums_is_on_the_gpu(gpu):
    sums = class_sums(*batch_on(gpu, weights=False))
    assert {value.device for value in sums} == {gpu}


def test_what_scores_a_prediction_is_on_the_gpu(gpu, monkeypatch):
    monkeypatch.setattr(metrics, "_within", lambda *_: True)  # which looks at values
    logits, labels = batch_on(gpu, weights=False)
    matrix = metrics.confusion_matrix(logits.argmax(1), labels, CLASSES)
    assert (matrix.device, matrix.shape, matrix.dtype) == (gpu, (CLASSES, CLASSES), torch.int64)
    assert metrics.iou(matrix).device.type == "cpu"
    assert metrics.soft_iou(logits, labels).device == gpu


@pytest.mark.parametrize("made_on", [GPU, torch.device("cpu")], ids=str)
def test_tiles_may_be_predicted_on_another_device_than_they_are_cut_on(gpu, made_on):
    image = torch.rand(3, 40, 50, device=made_on)
    found = predict_tiled(lambda tiles: tiles.to(gpu), image, tile=16, margin=2, batch_size=3)
    assert (found.device, found.shape) == (gpu, (3, 40, 50))


@pytest.mark.parametrize(
    ("padding", "views"), [("same", "none"), ("same", "rotations"), ("valid", "none")]
)
def test_whole_images_are_predicted_on_the_gpu(gpu, views, padding):
    model = built(gpu, base_channels=4, depth=2, padding=padding).eval()
    normalisation = Normalisation(8, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (0.0, 255.0), clipped=True)
    tiles = {"tile": 52, "margin": 22} if padding == "valid" else {}
    how = Predictor(gpu, "fp32", 4, **tiles, normalisation=normalisation, views=views)
    images = [np.zeros((9, 9, 3), np.uint8)] * 2
    logits = how.logits(model, images)
    assert (logits.device, logits.shape) == (gpu, (2, CLASSES, 9, 9))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_step_of_training_touches_one_device_only(optimizer):
    settings = TrainSettings(optimizer=optimizer, loss="weighted_ce", gradient_clip=1.0)
    model = built(META, base_channels=4, depth=2, dropout=0.2)
    step = Step(model, settings, device=META, steps_per_epoch=2)
    images = torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8)
    labels = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    batch = to_device((images, labels, torch.ones(labels.shape)), META, EIGHT_BITS)
    for _ in range(2):
        assert step(*batch).device == META
    assert {value.device for value in batch} == {META}
    state = step.optimizer.state_dict()["state"].values()
    assert {one.device for of_one in state for one in of_one.values() if one.ndim} == {META}
