"""Whether a compiled network runs as CUDA graphs, which torch leaves out where it cannot."""

from __future__ import annotations

from typing import Any

import torch

from bench.store.results import CudaGraphs

MODES = ("reduce-overhead", "max-autotune")  # of torch.compile, that ask for CUDA graphs


def of(mode: str, device: torch.device) -> CudaGraphs | None:
    """Return what came of a mode of compiling that asks for CUDA graphs; None for any other.

    After some calls: graphs are recorded in the second or third.
    """
    if mode not in MODES:
        return None
    if device.type != "cuda":
        return CudaGraphs(recorded=False, skipped=0)
    from torch._dynamo.utils import counters
    from torch._inductor import cudagraph_trees

    index = torch.cuda.current_device() if device.index is None else device.index
    manager: Any = cudagraph_trees.get_manager(index, create_if_none_exists=False)
    recorded = manager is not None and any(manager.roots.values())
    return CudaGraphs(recorded=recorded, skipped=counters["inductor"]["cudagraph_skips"])
