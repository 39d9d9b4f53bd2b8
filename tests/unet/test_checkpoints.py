"""Weights alone say which U-Net they are of."""

import itertools
import re

import pytest
import torch

from unet import UNet
from unet.checkpoints import from_state_dict, options

IMAGES = (2, 3, 35, 50)


def trained(model, shape=IMAGES):
    """Give a model running statistics other than the initial ones."""
    for _ in range(2):
        model(torch.randn(shape))
    return model


def same_bits(one, other):
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype, name
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("classes", [1, 5])
@pytest.mark.parametrize("bilinear", [True, False])
def test_the_family_to_ours_and_back(family_net, bilinear, classes):
    torch.manual_seed(0)
    family = trained(family_net(3, classes, bilinear=bilinear, b=4))
    before = {name: value.clone() for name, value in family.state_dict().items()}
    ours = from_state_dict({**before, "mask_values": [0, 1]})
    images = torch.randn(IMAGES)
    assert torch.equal(ours.eval()(images), family.eval()(images))
    assert torch.equal(ours.train()(images), family.train()(images))
    back = family_net(3, classes, bilinear=bilinear, b=4)
    back.load_state_dict(from_state_dict(before).state_dict(), strict=True)
    same_bits(back.state_dict(), before)
    assert torch.equal(back.eval()(images), from_state_dict(before).eval()(images))


VARIANTS = list(
    itertools.product(
        ((1, 4), (3, 1)), (2, 3), (1, 2), ("transposed", "bilinear"), ("same", "valid"), ("batch", "none")
    )
)  # fmt: skip


@pytest.mark.parametrize(("channels", "base", "depth", "up", "padding", "norm"), VARIANTS)
def test_every_network_is_known_by_its_weights(channels, base, depth, up, padding, norm):
    cin, classes = channels
    arguments = {"base_channels": base, "depth": depth, "upsampling": up, "norm": norm}
    torch.manual_seed(depth)
    model = UNet(cin, classes, padding=padding, **arguments)
    found = options(model.state_dict())
    assert found == {"in_channels": cin, "num_classes": classes, **arguments}
    again = from_state_dict(model.state_dict(), padding=padding)
    same_bits(again.state_dict(), model.state_dict())
    assert (again.padding, again.depth, again.margin) == (padding, depth, model.margin)
    assert str(again) == str(model)


def test_it_is_ready_to_train_and_shares_nothing():
    model = UNet(1, 2, base_channels=2, depth=1)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    again = from_state_dict(weights)
    assert all(p.requires_grad and p.is_leaf and p.device.type == "cpu" for p in again.parameters())
    again(torch.randn(2, 1, 8, 8)).sum().backward()
    torch.optim.SGD(again.parameters(), lr=1.0).step()
    same_bits(weights, model.state_dict())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_wrappers_leave_their_names_behind(prefix):
    weights = UNet(1, 2, base_channels=2, depth=1).state_dict()
    wrapped = {prefix + name: value for name, value in weights.items()}
    same_bits(from_state_dict(wrapped).state_dict(), weights)


def test_half_precision_is_widened():
    weights = UNet(1, 2, base_channels=2, depth=1).half().state_dict()
    again = from_state_dict(weights).state_dict()
    assert all(torch.equal(again[name].to(weights[name].dtype), weights[name]) for name in weights)
    assert again["outc.conv.weight"].dtype == torch.float32


@pytest.mark.parametrize("bilinear", [True, False])
def test_biases_before_batch_norm(family_net, bilinear):
    """The family had them at first; normalising takes them off again."""
    torch.manual_seed(0)
    family = family_net(3, 4, bilinear=bilinear, b=4, bias=True)
    for name, parameter in family.named_parameters():
        if name.endswith(".bias"):
            torch.nn.init.normal_(parameter)
    trained(family).double()
    ours = from_state_dict(family.state_dict()).double()
    images = torch.randn(IMAGES, dtype=torch.float64)
    for mode in (False, True):
        expected = family.train(mode)(images)
        torch.testing.assert_close(ours.train(mode)(images), expected, rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("up", ["transposed", "bilinear"])
def test_each_missing_or_misshapen_tensor_is_named(up):
    weights = UNet(3, 2, base_channels=2, depth=2, upsampling=up).state_dict()
    for name, value in weights.items():
        with pytest.raises(ValueError, match=f"^has no '{name}'"):
            from_state_dict({n: v for n, v in weights.items() if n != name})
        if name in ("inc.double_conv.0.weight", "outc.conv.weight"):
            continue  # these say how large the others have to be
        with pytest.raises(ValueError, match=f"^'{name}' has the shape .*; such a U-Net's has "):
            from_state_dict({**weights, name: value.expand(2, *value.shape)})


def without_downs(weights):
    return {name: value for name, value in weights.items() if not name.startswith("down")}


# fmt: off
WRONG = {
    "a wrong name": (lambda w: {("outc.conv.wait" if n == "outc.conv.weight" else n): v for n, v in w.items()}, "has no 'outc.conv.weight'; it has 'outc.conv.wait'"),
    "another wrong name": (lambda w: {n.replace("up1.conv", "up1.convs"): v for n, v in w.items()}, "has no 'up1.conv.double_conv.0.weight'; it has 'up1.convs.double_conv.0.weight'"),
    "one too many": (lambda w: {**w, "outd.weight": torch.zeros(1)}, "'outd.weight' is no weight of such a U-Net"),
    "another base": (lambda w: {**w, "inc.double_conv.0.weight": torch.zeros(4, 3, 3, 3)}, "'inc.double_conv.1.weight' has the shape (2,); such a U-Net's has (4,)"),
    "no contracting path": (without_downs, "has no 'down1.maxpool_conv.1.double_conv.0.weight'"),
    "a vector": (lambda w: {**w, "outc.conv.weight": torch.zeros(4)}, "'outc.conv.weight' has the shape (4,), which is no convolution's"),
    "no channel": (lambda w: {**w, "outc.conv.weight": torch.zeros(0, 2, 1, 1)}, "'outc.conv.weight' has the shape (0, 2, 1, 1), which is no convolution's"),
    "a promise of 2^50 channels": (lambda w: {**w, "inc.double_conv.0.weight": torch.zeros(1).expand(2**50, 3, 3, 3)}, "are of no U-Net that can be built"),
    "nothing": (lambda w: {}, "has no 'inc.double_conv.0.weight'"),
    "no tensors": (lambda w: {"inc.double_conv.0.weight": 1}, "has no 'inc.double_conv.0.weight'"),
}
# fmt: on


@pytest.mark.parametrize("what", WRONG)
def test_weights_of_something_else_are_refused_in_one_line(what):
    change, message = WRONG[what]
    weights = dict(UNet(3, 4, base_channels=2, depth=2).state_dict())
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        from_state_dict(change(weights))
    assert "\n" not in str(error.value)


def test_a_bias_that_fits_no_batch_norm_is_refused():
    weights = UNet(3, 4, base_channels=2, depth=1).state_dict()
    with pytest.raises(ValueError, match=r"'inc.double_conv.0.bias' is no weight"):
        from_state_dict({**weights, "inc.double_conv.0.bias": torch.zeros(3)})


# ----------------------------------------------------- what cannot be kept exactly, or is not there

NAME = "down1.maxpool_conv.1.double_conv.0.weight"
COUNTER = "inc.double_conv.1.num_batches_tracked"
# fmt: off
NOT_PLAIN = {
    "on the meta device": (lambda v: v.to("meta"), "is a shape without values"),
    "sparse": (lambda v: v.to_sparse(), "is sparse"),
    "quantised": (lambda v: torch._empty_affine_quantized(v.shape, scale=0.1, zero_point=0, dtype=torch.qint8), "is quantised"),
    "nested": (lambda v: torch.nested.nested_tensor([v[0], v[1]], layout=torch.jagged), "is nested"),
    "complex": (lambda v: v.to(torch.complex64), "is of type complex64; float32 is wanted"),
    "whole numbers": (lambda v: v.to(torch.int8), "is of type int8; float32 is wanted"),
    "truth values": (lambda v: v > 0, "is of type bool; float32 is wanted"),
    "more digits": (lambda v: v.double() * (1 + 1e-12), "is of type float64, with values that float32 cannot keep"),
    "one larger number": (lambda v: v.double().index_fill(0, torch.tensor(0), 1e300), "with values that float32 cannot keep"),
    "expanded": (lambda v: torch.zeros(()).expand(v.shape), "bytes, which are not stored"),
    "expanded along one axis": (lambda v: v[:1].clone().expand(v.shape), "bytes, which are not stored"),
}
# fmt: on


@pytest.mark.filterwarnings("ignore:.*quantized tensor creation:UserWarning")
@pytest.mark.filterwarnings("ignore:.*nested tensors:UserWarning")
@pytest.mark.parametrize("what", NOT_PLAIN)
def test_a_tensor_that_cannot_be_kept_exactly_is_refused(what):
    change, message = NOT_PLAIN[what]
    weights = UNet(3, 4, base_channels=2, depth=2).state_dict()
    weights[NAME] = change(weights[NAME])
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        from_state_dict(weights)
    assert str(error.value).startswith(f"{NAME!r} ")
    assert "\n" not in str(error.value)


def test_tensors_that_share_what_only_one_could_be_are_refused():
    weights = UNet(3, 4, base_channels=2, depth=2).state_dict()
    other = "down2.maxpool_conv.1.double_conv.0.weight"
    assert weights[NAME].numel() < weights[other].numel()
    weights[NAME] = weights[other].flatten()[: weights[NAME].numel()].view(weights[NAME].shape)
    with pytest.raises(ValueError, match=f"^'{other}' takes .* bytes, which are not stored"):
        from_state_dict(weights)


def test_parts_of_one_long_tensor_and_one_counter_for_all_are_taken():
    model = UNet(3, 4, base_channels=2, depth=2)
    weights = dict(model.state_dict())
    together = torch.cat([v.flatten() for v in weights.values() if v.is_floating_point()])
    counter, start = weights[COUNTER], 0
    for name, value in model.state_dict().items():
        weights[name] = counter
        if value.is_floating_point():
            weights[name] = together[start : start + value.numel()].view(value.shape)
            start += value.numel()
    same_bits(from_state_dict(weights).state_dict(), model.state_dict())


def test_a_counter_may_be_short_but_no_fraction():
    weights = UNet(3, 4, base_channels=2, depth=1).state_dict()
    again = from_state_dict({**weights, COUNTER: torch.tensor(7, dtype=torch.int32)})
    assert again.state_dict()[COUNTER].item() == 7
    with pytest.raises(ValueError, match=f"^'{COUNTER}' is of type float32; int64 is wanted"):
        from_state_dict({**weights, COUNTER: torch.tensor(1.5)})


def test_values_that_are_no_numbers_are_kept_in_double_precision_too():
    weights = UNet(3, 4, base_channels=2, depth=1).state_dict()
    weights[NAME][0, 0, 0] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    again = from_state_dict({**weights, NAME: weights[NAME].double()}).state_dict()[NAME]
    assert torch.equal(again.view(torch.int32), weights[NAME].view(torch.int32))
