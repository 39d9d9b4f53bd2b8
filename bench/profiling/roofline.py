"""The roofline bound of a network on a device: its FLOPs and memory traffic, layer by layer.

A layer needs at least the time of its floating-point operations at the device's peak rate, and at
least the time to move its bytes at the peak rate of memory; the larger of the two is its roofline
bound (Williams et al. 2009). Bytes are counted so that the bound stays a lower one:

- A convolution or matrix product reads its input and weights once and writes its output once.
  The backward pass does so once more for the gradient of its input (which the first layer does
  not need) and once for that of its weights.
- Pooling and interpolation read their input and write their output, forward and backward.
- Elementwise operations cost nothing, as if they were fused into their neighbour: normalisation,
  activation, dropout, padding, cropping, concatenation. A sum of two maps reads one of them from
  memory.
- The loss reads the logits and the labels, and writes the gradient of the logits.
- The optimiser reads and writes each parameter and each of its moments, and reads the gradient.

Feature maps have 2 bytes a value in bf16 and fp16, else 4; parameters, their gradients and moments
have 4.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.profiling import clocks, timing
from bench.profiling.peaks import Peaks
from bench.training.precision import AUTOCAST, Precision

LABEL_BYTES = 8
aten: Any = torch.ops.aten


@dataclass(frozen=True)
class Cost:
    """Operations and bytes of one layer in one part of a pass: forward, backward or update."""

    layer: str
    kind: str
    part: str
    flops: float
    bytes: float

    def bound_ms(self, peaks: Peaks) -> float:
        """Return the roofline bound, in milliseconds."""
        return 1e3 * max(self.flops / peaks.flops, self.bytes / peaks.bytes)


def costs(
    network: nn.Module,
    images: Tensor,
    *,
    precision: Precision,
    train: bool,
    moments: int | None = None,
) -> list[Cost]:
    """List the costs of a pass over a batch of images (N, C, H, W).

    Network and images are on the ``meta`` device, so that nothing is computed. ``moments`` are the
    values that the optimiser keeps for each parameter (Adam: 2); None if it updates no weights.
    """
    width = 2 if precision in AUTOCAST else 4
    network.train(train)
    recorder = _CostRecorder(width)
    naming = _hooked(network.named_modules(), recorder.modules.append, recorder.leave)
    with naming, torch.set_grad_enabled(train), recorder:
        logits = network(images)
    found = [cost for cost in recorder.found if train or cost.part == "forward"]
    if train:
        pixels = logits.numel() // logits.shape[1]
        read = logits.numel() * width + pixels * LABEL_BYTES
        found.append(Cost("loss", "loss", "forward", 0, read))
        found.append(Cost("loss", "loss", "backward", 0, logits.numel() * width))
    if moments is not None:
        parameters = sum(parameter.numel() for parameter in network.parameters())
        moved = 4 * parameters * (3 + 2 * moments)
        found.append(Cost("optimizer", "optimizer", "update", 0, moved))
    return found


def layer_times(
    network: nn.Module, forward: Callable[[], object], clock: clocks.Clock, *, passes: int = 5
) -> dict[str, float]:
    """Measure the forward pass of each layer, in milliseconds: the median of some passes.

    Layers are the innermost modules that the pass calls; ``(between layers)`` is the rest of the
    whole pass. Only for a network that is not compiled.
    """
    layers = [(name, m) for name, m in network.named_modules() if not list(m.children())]
    samples: dict[str, list[float]] = {}
    marks: list[tuple[str, Any]] = []  # two for each call of a layer, since none calls another

    def mark(layer: str) -> None:
        marks.append((layer, clock.mark()))

    for _ in range(passes):
        marks.clear()
        with _hooked(layers, mark, mark):
            clock.wait()
            clock.occupy(0.05)  # on a device with a queue: no layer waits for the host
            start = clock.mark()
            forward()
            stop = clock.mark()
            clock.wait()
        total: dict[str, float] = {}
        for (name, begin), (_, end) in zip(marks[::2], marks[1::2], strict=True):
            total[name] = total.get(name, 0.0) + clock.between(begin, end)
        total["(between layers)"] = max(0.0, clock.between(start, stop) - sum(total.values()))
        for name, value in total.items():
            samples.setdefault(name, []).append(value)
    return {name: timing.quartiles(tuple(values))[1] for name, values in samples.items()}


@contextlib.contextmanager
def _hooked(
    modules: Iterable[tuple[str, nn.Module]],
    begin: Callable[[str], None],
    end: Callable[[str], None],
) -> Iterator[None]:
    """Call ``begin`` and ``end`` with a module's name around its forward pass."""
    handles = []
    for name, module in modules:
        handles.append(module.register_forward_pre_hook(lambda *_, name=name: begin(name)))
        handles.append(module.register_forward_hook(lambda *_, name=name: end(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _CostRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of a forward pass, and records its cost forward and backward."""

    def __init__(self, width: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.width = width
        self.found: list[Cost] = []
        self.modules: list[str] = []  # names of those whose forward pass is running

    def leave(self, module: str) -> None:
        self.modules.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        rule = RULES.get(func.overloadpacket)
        if rule is not None:
            result = out[0] if isinstance(out, tuple) else out
            layer = next((name for name in reversed(self.modules) if name), "network")
            self.found += rule(layer, self.width, args, result)
        return out


def _convolution(layer: str, width: int, args: Any, out: Tensor) -> list[Cost]:
    """Cost a convolution: of each output value, or of each input value if it is transposed."""
    x, weight, transposed = args[0], args[1], args[6]
    values = x.numel() if transposed else out.numel()
    flops = 2.0 * values * weight.shape[1:].numel()
    kind = "transposed convolution" if transposed else "convolution"
    return _forward_and_backward(layer, kind, width, flops, x, weight, out)


def _matrix_product(layer: str, width: int, args: Any, out: Tensor) -> list[Cost]:
    """Cost a product of matrices, whose factors are the last two tensors among its arguments."""
    left, right = [arg for arg in args if isinstance(arg, Tensor)][-2:]
    flops = 2.0 * out.numel() * left.shape[-1]
    return _forward_and_backward(layer, "matrix product", width, flops, left, right, out)


def _forward_and_backward(
    layer: str, kind: str, width: int, flops: float, x: Tensor, weight: Tensor, out: Tensor
) -> list[Cost]:
    maps = (x.numel() + out.numel()) * width
    found = [Cost(layer, kind, "forward", flops, maps + weight.numel() * width)]
    if x.requires_grad:
        found.append(Cost(layer, kind, "backward", flops, maps + weight.numel() * width))
    if weight.requires_grad:
        found.append(Cost(layer, kind, "backward", flops, maps + weight.numel() * 4))
    return found


def _resampling(layer: str, width: int, args: Any, out: Tensor) -> list[Cost]:
    moved = (args[0].numel() + out.numel()) * width
    kind = "pooling" if out.numel() < args[0].numel() else "interpolation"
    return [Cost(layer, kind, part, 0, moved) for part in ("forward", "backward")]


def _sum(layer: str, width: int, args: Any, out: Tensor) -> list[Cost]:
    if not all(isinstance(arg, Tensor) and arg.ndim == 4 for arg in args[:2]):
        return []  # a counter of batches, a bias
    return [Cost(layer, "sum", "forward", 0, out.numel() * width)]


RULES: dict[Any, Callable[[str, int, Any, Tensor], list[Cost]]] = {
    aten.convolution: _convolution,
    aten.mm: _matrix_product,
    aten.addmm: _matrix_product,
    aten.bmm: _matrix_product,
    aten.max_pool2d_with_indices: _resampling,
    aten.avg_pool2d: _resampling,
    aten._adaptive_avg_pool2d: _resampling,
    aten.mean: _resampling,
    aten.upsample_bilinear2d: _resampling,
    aten.upsample_nearest2d: _resampling,
    aten.add: _sum,
    aten.add_: _sum,
}
