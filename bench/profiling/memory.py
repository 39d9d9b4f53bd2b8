"""Peak memory of a device and of this process."""

from __future__ import annotations

import sys

import torch

from bench.store.results import Memory, PeakOf


def reset(device: torch.device) -> None:
    """Forget the peaks that CUDA has recorded so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def cuda_peaks(device: torch.device) -> Memory | None:
    """Return what torch allocated and reserved at most on CUDA since `reset`; else None."""
    if device.type != "cuda":
        return None
    return Memory(
        allocated_bytes=torch.cuda.max_memory_allocated(device),
        reserved_bytes=torch.cuda.max_memory_reserved(device),
    )


def peaks(device: torch.device) -> Memory:
    """Return the peaks on CUDA, if it is one, and the largest resident set of this process."""
    cuda = cuda_peaks(device) or Memory()
    try:
        import resource
    except ImportError:  # Windows
        return cuda
    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return cuda.model_copy(update={"process_bytes": resident})


def peak_of(memory: Memory, *, replayed: bool) -> PeakOf | None:
    """Return which of the peaks tells what a workload needs; None if none was recorded.

    What torch allocates on a device, unless CUDA graphs are ``replayed``: they use memory that was
    reserved when they were recorded, and allocate nothing.
    """
    if memory.allocated_bytes is not None:
        return "reserved" if replayed else "allocated"
    return None if memory.process_bytes is None else "process"
