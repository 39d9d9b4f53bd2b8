"""A GPU's memory: what happens when it runs out, and how fast batches are copied into it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from bench.doctor.finding import Finding, Machine, off, ok
from bench.errors import out_of_memory
from bench.execution.job import one_line
from bench.profiling import timing
from bench.profiling.clocks import Clock, clock_of

COPIED = 2**28  # bytes
SLOWEST = 5e9  # bytes a second; 16 lanes of PCIe 3 carry 12 to 13, of PCIe 4 about 25
LANES = (
    "see nvidia-smi --query-gpu=pcie.link.gen.max,pcie.link.width.max,pcie.link.width.current "
    "--format=csv: the GPU is in a slot with few lanes, or the host is busy"
)
Allocate = Callable[[torch.device], object]
Rates = Callable[[torch.device], tuple[float, float]]  # bytes a second, pinned and not


def exhausted(machine: Machine, allocate: Allocate | None = None) -> Finding:
    """Ask for more memory than there is, and do a step of training after that has failed."""
    try:
        (allocate or _too_much)(machine.device)
    except Exception as error:
        said, recognised = one_line(error), out_of_memory(error)
    else:
        text = "twice the memory of the GPU could be allocated: it moves what does not fit"
        mend = "turn off the fallback to system memory in the driver's settings: times would lie"
        return off(text, mend)
    if not recognised:
        mend = "a batch that does not fit would count as failed, not as oom: report this line"
        return off(f"this error does not tell that memory ran out: {said}", mend)
    gc.collect()
    try:
        _small_step(machine.device)
    except Exception as error:
        text = f"after memory ran out, a small step of training fails: {one_line(error)}"
        return off(text, "update the driver; until then run with one trial in a process")
    return ok("running out of memory is recognised, and a step of training works afterwards")


def copying(machine: Machine, rates: Rates | None = None) -> Finding:
    """Measure how fast pinned and other main memory is copied to the GPU."""
    pinned, pageable = (rates or _rates)(machine.device)
    numbers = {"pinned_bytes_per_second": pinned, "pageable_bytes_per_second": pageable}
    text = f"pinned memory is copied to the GPU at {pinned / 1e9:.1f} GB/s"
    text += f" (other memory at {pageable / 1e9:.1f})"
    if pinned < SLOWEST:
        return off(f"{text}; {SLOWEST / 1e9:.0f} or more is usual", LANES, **numbers)
    return ok(text, **numbers)


def _too_much(device: torch.device) -> object:
    total = torch.cuda.get_device_properties(device).total_memory
    return torch.empty(2 * total, dtype=torch.uint8, device=device)


def _small_step(device: torch.device) -> None:
    network = nn.Conv2d(3, 4, 3).to(device)
    loss = network(torch.ones(2, 3, 16, 16, device=device)).square().mean()
    loss.backward()
    if not loss.isfinite().item():
        raise RuntimeError("its loss is not finite")


def _rates(device: torch.device) -> tuple[float, float]:
    clock = clock_of(device)
    target = torch.empty(COPIED, dtype=torch.uint8, device=device)
    pinned, pageable = (
        _rate(target, torch.ones(COPIED, dtype=torch.uint8, pin_memory=pin), clock)
        for pin in (device.type == "cuda", False)
    )
    return pinned, pageable


def _rate(target: torch.Tensor, source: torch.Tensor, clock: Clock) -> float:
    """Return the bytes a second of the fastest of some copies."""
    work = partial(target.copy_, source, non_blocking=True)
    timing.measure(work, clock, calls=1, windows=1)
    return 1e3 * COPIED / min(timing.measure(work, clock, calls=1, windows=5))
