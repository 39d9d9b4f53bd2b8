"""Bilinear upsampling by products is that of torch's kernel, values and gradients."""

import contextlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from unet import UNet
from unet.upsampling import BilinearUpsampling

LAYOUTS = [torch.contiguous_format, torch.channels_last]
SHAPES = [(2, 3, 5, 7), (1, 4, 1, 6), (1, 1, 3, 2)]
KERNEL, PRODUCTS = BilinearUpsampling("interpolate"), BilinearUpsampling("matmul")


def maps(shape, layout, dtype=torch.float32):
    found = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return found.to(memory_format=layout).requires_grad_()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_products_give_the_values_and_gradients_of_the_kernel(shape, layout):
    x = maps(shape, layout)
    expected, found = KERNEL(x), PRODUCTS(x)
    weights = maps(expected.shape, layout).detach()
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    gradients = (torch.autograd.grad(out, x, weights)[0] for out in (expected, found))
    torch.testing.assert_close(*gradients, rtol=0, atol=2e-6)
    assert found.is_contiguous(memory_format=layout)
    assert torch.autograd.gradcheck(PRODUCTS, maps(shape, layout, torch.float64))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_autocast_leaves_the_type_of_the_maps(dtype):
    x = maps((1, 2, 4, 5), torch.channels_last).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found = PRODUCTS(x)
    assert found.dtype == dtype
    torch.testing.assert_close(found, KERNEL(x), rtol=0, atol=0.05)


def test_a_cpu_takes_the_kernel_to_the_byte_unless_told_otherwise():
    x = maps((1, 2, 9, 11), torch.channels_last)
    layer = torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    assert torch.equal(BilinearUpsampling()(x), layer(x))
    assert not torch.equal(PRODUCTS(x), KERNEL(x))
    assert not BilinearUpsampling().state_dict()


def test_on_cuda_nothing_is_interpolated_by_the_kernel():
    with FakeTensorMode(), torch.device("cuda:0"):
        x = torch.empty(2, 3, 9, 11)
        for by, called in (("auto", False), ("interpolate", True)):
            with torch.profiler.profile() as seen:
                assert BilinearUpsampling(by)(x).device == torch.device("cuda:0")
            names = {event.key for event in seen.key_averages()}
            assert ("aten::upsample_bilinear2d" in names) == called


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_a_network_on_cuda_keeps_device_and_layout(layout, precision, monkeypatch):
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_: True)
    context = torch.autocast("cuda", precision) if precision else contextlib.nullcontext()
    with FakeTensorMode(), torch.device("cuda:0"), context:
        network = UNet(3, 5, base_channels=4, depth=2, upsampling="bilinear")
        logits = network(torch.empty(2, 3, 37, 50).to(memory_format=layout))
    assert logits.device == torch.device("cuda:0")
    assert logits.dtype == (precision or torch.float32)
    # Without a GPU, torch's stand-in of a convolution in bf16 loses the layout by itself.
    assert precision is not None or logits.is_contiguous(memory_format=layout)


def test_a_network_by_products_is_one_graph_and_the_same():
    torch.manual_seed(0)
    options = {"base_channels": 4, "depth": 2, "upsampling": "bilinear"}
    network, other = UNet(3, 5, **options, bilinear="matmul"), UNet(3, 5, **options)
    other.load_state_dict(network.state_dict(), strict=True)
    x = maps((2, 3, 13, 18), torch.channels_last).detach()
    explained = torch._dynamo.explain(network)(x)
    assert (explained.graph_count, explained.graph_break_count) == (1, 0)
    torch.testing.assert_close(network(x), other(x), rtol=1e-4, atol=1e-5)
