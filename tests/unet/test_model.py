import copy
import itertools
import math
import re

import pytest
import torch
from torch import nn

from unet import UNet
from unet.model import he_normal_, margin, nearest_valid_sizes


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("in_channels", "num_classes", "upsampling", "expected"),
    [
        (1, 2, "transposed", 31_036_546),
        (3, 22, "transposed", 31_038_998),
        (3, 22, "bilinear", 17_264_342),
    ],
)
def test_number_of_parameters(in_channels, num_classes, upsampling, expected):
    with torch.device("meta"):
        model = UNet(in_channels, num_classes, upsampling=upsampling)
    assert parameters(model) == expected


def test_parameters_of_the_paper_by_its_layer_table():
    # 3×3 convolutions, then up-convolutions, then the last: weights and biases.
    widths = [(1, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512)]
    widths += [(512, 512), (512, 1024), (1024, 1024), (1024, 512), (512, 512), (512, 256)]
    widths += [(256, 256), (256, 128), (128, 128), (128, 64), (64, 64)]
    expected = sum(9 * i * o + o for i, o in widths)
    expected += sum(4 * i * i // 2 + i // 2 for i in (1024, 512, 256, 128)) + 64 * 2 + 2
    with torch.device("meta"):
        model = UNet(1, 2, padding="valid", norm="none")
    assert parameters(model) == expected
    assert sum(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in model.modules()) == 23


# ------------------------------------------------------------------ the family's network


@pytest.mark.parametrize("size", [(32, 48), (97, 131), (16, 31)])
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_checkpoint_of_the_family_gives_the_same_output(family_net, upsampling, size):
    torch.manual_seed(1)
    family = family_net(3, 5, bilinear=upsampling == "bilinear", b=4)
    images = torch.randn(2, 3, 32, 32)
    family(images)  # so that the running statistics are not the initial ones
    ours = UNet(3, 5, base_channels=4, upsampling=upsampling)
    ours.load_state_dict(family.state_dict(), strict=True)
    assert list(ours.state_dict()) == list(family.state_dict())
    images = torch.randn(2, 3, *size)
    for mode in (True, False):
        expected, result = family.train(mode)(images), ours.train(mode)(images)
        assert torch.equal(result, expected)


# ------------------------------------------------------------------------------ sizes


def traced(size, depth):
    """Follow one side of an image through the unpadded network; None where it does not fit."""
    for _ in range(depth):
        size -= 4
        if size <= 0 or size % 2:
            return None
        size //= 2
    size -= 4
    for _ in range(depth):
        size = 2 * size - 4 if size > 0 else 0
    return size if size > 0 else None


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_valid_sizes_and_margin_by_following_every_size(depth):
    fitting = [size for size in range(1, 900) if traced(size, depth)]
    assert all(size - traced(size, depth) == margin(depth) for size in fitting)
    for size in range(1, 800):
        below = max((fit for fit in fitting if fit <= size), default=fitting[0])
        above = min(fit for fit in fitting if fit >= size)
        assert nearest_valid_sizes(size, depth) == (below, above)


# What figure 1 of arXiv:1505.04597 writes beside its boxes: side of the map, channels that go
# into the layer, channels that come out. Pooling halves, an up-convolution doubles the side.
PAPER = """
570 1 64     568 64 64      pool 284
282 64 128   280 128 128    pool 140
138 128 256  136 256 256    pool 68
66 256 512   64 512 512     pool 32
30 512 1024  28 1024 1024
up 56 1024 512    54 1024 512   52 512 512
up 104 512 256    102 512 256   100 256 256
up 200 256 128    198 256 128   196 128 128
up 392 128 64     390 128 64    388 64 64    388 64 2
"""


def test_every_map_of_the_papers_figure():
    rows = re.findall(r"(pool \d+|(?:up )?\d+ \d+ \d+)", PAPER)
    seen = []

    def look(module, inputs, output):
        assert output.shape[2] == output.shape[3]
        side, into, out = output.shape[2], inputs[0].shape[1], output.shape[1]
        if isinstance(module, nn.MaxPool2d):
            seen.append(f"pool {side}")
        else:
            up = "up " * isinstance(module, nn.ConvTranspose2d)
            seen.append(f"{up}{side} {into} {out}")

    with torch.device("meta"):
        model = UNet.paper()
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.MaxPool2d):
                module.register_forward_hook(look)
        model(torch.empty(1, 1, 572, 572))
    assert seen == rows
    assert sum("pool" not in row for row in rows) == 23


def test_the_papers_sizes():
    with torch.device("meta"):
        model = UNet.paper()
        assert model(torch.empty(1, 1, 572, 572)).shape == (1, 2, 388, 388)
    assert model.margin == margin(4) == 184
    assert UNet(1, 2, base_channels=1).margin == 0
    assert nearest_valid_sizes(572, 4) == (572, 572)
    assert all((nearest_valid_sizes(size, 4)[1] - 12) % 16 == 0 for size in range(1, 600))


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_every_variant_maps_images_to_logits_and_has_gradients(upsampling, depth, padding, norm):
    torch.manual_seed(depth)
    model = UNet(
        2, 3, base_channels=3, depth=depth, upsampling=upsampling, padding=padding, norm=norm
    )
    _, height = nearest_valid_sizes(1, depth)
    width = height + 2**depth
    logits = model(torch.randn(2, 2, height, width))
    assert logits.shape == (2, 3, height - model.margin, width - model.margin)
    logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_unpadded_output_depends_only_on_what_lies_around_it():
    """Moving the window over a larger image by one step of the coarsest map moves the output."""
    torch.manual_seed(0)
    model = UNet(1, 2, base_channels=2, depth=2, padding="valid", norm="none").double().eval()
    image = torch.randn(1, 1, 64, 60, dtype=torch.float64)
    whole = model(image)
    for top, left in itertools.product((0, 4, 12), (0, 8)):
        part = model(image[:, :, top : top + 48, left : left + 44])
        expected = whole[:, :, top : top + 48 - 40, left : left + 44 - 40]
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-12)


def test_skip_connections_are_cropped_centrally():
    """With all else silenced, an up step passes on the middle of its skip map."""
    up = UNet(1, 1, base_channels=1, depth=1, padding="valid", norm="none").up1
    conv, conv2 = up.conv.double_conv[0], up.conv.double_conv[3]
    for parameter in up.parameters():
        nn.init.zeros_(parameter)
    conv.weight.data[0, 0, 1, 1] = 1  # channel 0 of the joined map is the skip map
    conv2.weight.data[0, 0, 1, 1] = 1
    skip = torch.arange(144.0).view(1, 1, 12, 12)
    assert torch.equal(up(torch.zeros(1, 2, 4, 4), skip), skip[:, :, 4:8, 4:8])


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"upsampling": "bicubic"}, r"upsampling .*'transposed', 'bilinear', not 'bicubic'"),
        ({"padding": "reflect"}, r"padding .*'same', 'valid', not 'reflect'"),
        ({"norm": "group"}, r"norm .*'batch', 'none', not 'group'"),
        ({"in_channels": 0}, r"in_channels must be at least 1, not 0"),
        ({"num_classes": -1}, r"num_classes must be at least 1, not -1"),
        ({"base_channels": 0}, r"base_channels must be at least 1, not 0"),
        ({"depth": 0}, r"depth must be at least 1, not 0"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and below 1, not 1.0"),
        ({"dropout": -0.1}, r"dropout must be .* not -0.1"),
        ({"dropout": math.nan}, r"dropout must be .* not nan"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        UNet(**{"in_channels": 1, "num_classes": 2, "base_channels": 1, **arguments})


@pytest.mark.parametrize(
    ("padding", "shape", "message"),
    [
        ("valid", (1, 1, 570, 572), "height 570 .* depth 4; nearest that fit: 556 and 572"),
        ("valid", (1, 1, 572, 573), "width 573 .* nearest that fit: 572 and 588"),
        ("valid", (1, 1, 100, 572), "height 100 .* nearest that fit: 188$"),
        ("same", (1, 1, 15, 64), "height 15 is too small: depth 4 takes 16 and more"),
        ("same", (1, 1, 16, 7), "width 7 is too small"),
        ("same", (1, 64, 64), r"images must be \(N, C, H, W\), not \(1, 64, 64\)"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(padding, shape, message):
    model = UNet(1, 2, base_channels=1, padding=padding)
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(shape))


# ------------------------------------------------------------------ initialisation, dropout


def test_paper_is_initialised_by_he():
    torch.manual_seed(3)
    model = UNet.paper(in_channels=3, num_classes=2)
    assert model.dropout.p == 0.5
    for name, module in model.named_modules():
        assert not isinstance(module, nn.BatchNorm2d), name
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        # How many inputs one output is computed from: its receptive field's worth of weights.
        size = module.kernel_size[0] ** 2 if isinstance(module, nn.Conv2d) else 1
        expected = math.sqrt(2 / (module.in_channels * size))
        std, mean = (moment.item() for moment in torch.std_mean(module.weight.detach()))
        number = module.weight.numel()  # within five standard errors of each moment
        assert std == pytest.approx(expected, rel=5 / math.sqrt(2 * number)), name
        assert abs(mean) < 5 * expected / math.sqrt(number), name
        assert module.bias.abs().max() == 0, name


def test_he_initialisation_keeps_the_scale_of_activations():
    """What it is for: the variance neither dies out nor explodes through a step up."""
    torch.manual_seed(0)
    up = nn.ConvTranspose2d(256, 128, 2, stride=2)
    he_normal_(up)
    x = torch.randn(1, 256, 16, 16).relu()
    assert up(x).square().mean().item() == pytest.approx(2 * x.square().mean().item(), rel=0.1)


def test_he_initialisation_is_the_generators():
    model = UNet(1, 2, base_channels=2, depth=1)
    other = copy.deepcopy(model)
    state = torch.get_rng_state()
    he_normal_(model, generator=torch.Generator().manual_seed(5))
    he_normal_(other, generator=torch.Generator().manual_seed(5))
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_dropout_acts_on_the_lowest_map_and_in_training_only():
    torch.manual_seed(0)
    model = UNet(1, 2, base_channels=2, depth=2, norm="none", dropout=0.5)
    seen = []
    model.dropout.register_forward_hook(lambda _, inputs, output: seen.append((*inputs, output)))
    images = torch.randn(1, 1, 64, 64)
    model(images)
    before, after = seen.pop()
    assert before.shape == (1, 8, 16, 16)
    dropped = (after == 0) & (before != 0)
    kept = ~dropped
    assert 0.4 < dropped.sum() / (before != 0).sum() < 0.6
    torch.testing.assert_close(after[kept], 2 * before[kept])
    model.eval()
    assert torch.equal(model(images), model(images))
    assert torch.equal(*seen.pop())


def test_same_seed_same_model():
    models = []
    for _ in range(2):
        torch.manual_seed(7)
        models.append(UNet(1, 2, base_channels=2, depth=2).state_dict())
    assert all(torch.equal(tensor, models[1][name]) for name, tensor in models[0].items())
