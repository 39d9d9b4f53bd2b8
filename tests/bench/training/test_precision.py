"""How float32 is computed: torch's two interfaces to it, as its compiler reads them, and restored."""

import pytest
import torch

from bench.training.precision import float32_as

CUDNN, MATMUL, MKLDNN = torch.backends.cudnn, torch.backends.cuda.matmul, torch.backends.mkldnn


def switches():
    """All that torch tells; the older interface raises where it contradicts the newer one.

    While it tunes (max-autotune), `torch._inductor` reads `get_float32_matmul_precision` for
    products (codecache.py, select_algorithm.py) and `cudnn.allow_tf32` for the backward pass of
    convolutions (kernel/conv.py). Importing it takes seconds, so its questions are asked here.
    """
    older = torch.get_float32_matmul_precision(), CUDNN.allow_tf32, MATMUL.allow_tf32
    newer = CUDNN, CUDNN.conv, CUDNN.rnn, MATMUL, MKLDNN.matmul, MKLDNN.conv
    return older, tuple(each.fp32_precision for each in newer)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16", "tf32"])
def test_both_interfaces_say_the_same_and_are_restored(precision):
    before = switches()
    with float32_as(precision):
        older, newer = switches()
        tf32 = precision == "tf32"
        assert older == ("high" if tf32 else "highest", tf32, tf32)
        assert newer[:4] == ("tf32" if tf32 else "ieee",) * 4
        assert newer[4] == "ieee", "a CPU computes float32 as it is"
    assert switches() == before


def test_blocks_nest_and_an_error_restores_too():
    before = switches()
    with float32_as("tf32"):
        outer = switches()
        with pytest.raises(KeyError), float32_as("fp32"):
            raise KeyError
        assert switches() == outer
    assert switches() == before


def test_a_program_that_set_one_interface_only_can_still_run_a_trial():
    before = MATMUL.fp32_precision
    try:
        MATMUL.fp32_precision = "tf32"
        with pytest.raises(RuntimeError, match="mix"):
            torch.get_float32_matmul_precision()
        with float32_as("fp32"):
            assert torch.get_float32_matmul_precision() == "highest"
        assert MATMUL.fp32_precision == "tf32"
    finally:
        MATMUL.fp32_precision = before
    assert torch.get_float32_matmul_precision() == "highest"
