"""Which errors mean that memory ran out, in the words of the libraries that torch 2.14 calls."""

import errno

import pytest
import torch

from bench.errors import UserError, out_of_memory

CUBLAS = "CUDA error: CUBLAS_STATUS_{} when calling `cublasCreate(handle)`"
CPU = "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be"),
        RuntimeError("CUDA ran out of memory outside PyTorch's allocator."),
        RuntimeError(CUBLAS.format("ALLOC_FAILED")),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB)"),
        RuntimeError(f"{CPU}: you tried to allocate 4503599627370496 bytes."),
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),  # of a process that cannot be forked
    ],
    ids=str,
)
def test_memory_ran_out(error):
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        torch.AcceleratorError("CUDA error: device-side assert triggered"),
        RuntimeError(CUBLAS.format("NOT_INITIALIZED")),
        RuntimeError("expected memory_format channels_last"),
        OSError(errno.ENOSPC, "No space left on device"),
        UserError("metric my.metrics:out_of_memory: out of memory is no number"),
    ],
    ids=str,
)
def test_something_else_went_wrong(error):
    assert not out_of_memory(error)


def test_torch_says_so_on_this_cpu():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 50)
    assert out_of_memory(raised.value)
