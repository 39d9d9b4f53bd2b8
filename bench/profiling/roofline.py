"""How long a network must take at least on a device: its arithmetic and traffic, layer by layer.

A layer needs at least the time of its floating-point operations at the device's fastest rate, and
at least the time to move its bytes at the fastest rate of memory; the larger of the two is its
floor (Williams et al. 2009, the roofline model). The rules for the bytes are generous:

- A convolution or matrix product reads its input and weights once and writes its output once.
  Going back it does so once more for the gradient of its input (which the first layer does
  not need) and once for that of its weights.
- Pooling and interpolation read their input and write their output, forward and backward.
- What works value by value costs nothing, as if it were part of its neighbour's read or write:
  normalisation, activation, dropout, padding, cropping, concatenation. A sum of two maps reads
  one of them from memory.
- The loss reads the logits and the labels, and writes the gradient of the logits.
- The optimiser reads and writes each parameter and each of its moments, and reads the gradient.

Maps have 2 bytes a value in bf16 and fp16 and 4 otherwise; gradients of weights, parameters and
moments have 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from bench.profiling import timing
from bench.profiling.peaks import Ceilings
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

    def floor_ms(self, ceilings: Ceilings) -> float:
        """Return the least time, in milliseconds."""
        return 1e3 * max(self.flops / ceilings.flops, self.bytes / ceilings.bytes)


def costs(
    network: nn.Module,
    images: Tensor,
    *,
    precision: Precision,
    train: bool,
    moments: int | None = None,
) -> list[Cost]:
    """List what a pass over a batch costs.

    Args:
        network: on the ``meta`` device: nothing is computed.
        images: (N, C, H, W), also there.
        precision: in which maps are kept.
        train: whether gradients are taken, too.
        moments: values that the optimiser keeps for each parameter (Adam: 2); None if the
            weights stay as they are.
    """
    width = 2 if precision in AUTOCAST else 4
    network.train(train)
    recorder = _Recorder(width)
    with recorder.naming(network), torch.set_grad_enabled(train), recorder:
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


def floor_ms(found: Iterable[Cost], ceilings: Ceilings) -> float:
    """Return the least time of all layers one after the other, in milliseconds."""
    return sum(cost.floor_ms(ceilings) for cost in found)


def layer_times(
    network: nn.Module, forward: Callable[[], object], clock: timing.Clock, *, passes: int = 5
) -> dict[str, float]:
    """Measure the forward pass of each layer, in milliseconds: the median of some passes.

    Layers are the innermost modules that the pass calls; ``(between layers)`` is what is left
    of the whole pass. Only for a network that is not compiled.
    """
    samples: dict[str, list[float]] = {}
    for _ in range(passes):
        marks: list[tuple[str, Any, Any]] = []
        open_marks: dict[str, Any] = {}

        def begin(name: str, open_marks: dict[str, Any] = open_marks) -> None:
            open_marks[name] = clock.mark()

        def end(
            name: str,
            marks: list[tuple[str, Any, Any]] = marks,
            open_marks: dict[str, Any] = open_marks,
        ) -> None:
            marks.append((name, open_marks.pop(name), clock.mark()))

        with _Hooks(network, begin, end, leaves=True):
            clock.wait()
            clock.occupy(0.05)  # on a device with a queue: no layer waits for the host
            start = clock.mark()
            forward()
            stop = clock.mark()
            clock.wait()
        total: dict[str, float] = {}
        for name, before, after in marks:
            total[name] = total.get(name, 0.0) + clock.between(before, after)
        total["(between layers)"] = max(0.0, clock.between(start, stop) - sum(total.values()))
        for name, value in total.items():
            samples.setdefault(name, []).append(value)
    return {name: timing.quartiles(tuple(values))[1] for name, values in samples.items()}


class _Hooks:
    """Calls ``begin`` and ``end`` with a module's name around its forward pass."""

    def __init__(
        self,
        network: nn.Module,
        begin: Callable[[str], None],
        end: Callable[[str], None],
        *,
        leaves: bool,
    ) -> None:
        self.handles = []
        for name, module in network.named_modules():
            if leaves and next(module.children(), None) is not None:
                continue
            before = module.register_forward_pre_hook(lambda m, i, name=name: begin(name))
            after = module.register_forward_hook(lambda m, i, o, name=name: end(name))
            self.handles += [before, after]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation of a forward pass, and writes down what it costs there and back."""

    def __init__(self, width: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.width = width
        self.found: list[Cost] = []
        self.names: list[str] = []

    def naming(self, network: nn.Module) -> _Hooks:
        return _Hooks(network, self.names.append, lambda name: _drop(self.names), leaves=False)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        rule = RULES.get(func.overloadpacket)
        if rule is not None:
            result = out[0] if isinstance(out, tuple) else out
            layer = next((name for name in reversed(self.names) if name), "network")
            self.found += rule(layer, self.width, args, result)
        return out


def _drop(names: list[str]) -> None:
    names.pop()


def _product(layer: str, width: int, args: Any, out: Tensor) -> list[Cost]:
    """Cost a convolution: of each output value, or of each input value if it is transposed."""
    x, weight, transposed = args[0], args[1], args[6]
    values = x.numel() if transposed else out.numel()
    flops = 2.0 * values * weight.shape[1:].numel()
    kind = "transposed convolution" if transposed else "convolution"
    return _there_and_back(layer, kind, width, flops, x, weight, out)


def _matrix(layer: str, width: int, args: Any, out: Tensor) -> list[Cost]:
    """Cost a product of matrices, whose factors are the last two tensors among its arguments."""
    left, right = [arg for arg in args if isinstance(arg, Tensor)][-2:]
    flops = 2.0 * out.numel() * left.shape[-1]
    return _there_and_back(layer, "matrix product", width, flops, left, right, out)


def _there_and_back(
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
    aten.convolution: _product,
    aten.mm: _matrix,
    aten.addmm: _matrix,
    aten.bmm: _matrix,
    aten.max_pool2d_with_indices: _resampling,
    aten.avg_pool2d: _resampling,
    aten._adaptive_avg_pool2d: _resampling,
    aten.mean: _resampling,
    aten.upsample_bilinear2d: _resampling,
    aten.upsample_nearest2d: _resampling,
    aten.add: _sum,
    aten.add_: _sum,
}
