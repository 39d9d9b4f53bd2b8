"""Logits and labels, checked, and the sums for each image and class that overlaps are made of.

A label that is neither a class nor ``ignore_index`` raises ValueError on the CPU. On an
accelerator, reading it back would stall the queue of kernels, and in a compiled function it would
cut the graph in two, so there it is left to the kernels' own assertions.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class ClassSums(NamedTuple):
    """What overlap losses are made of; sums run over the pixels that count.

    ``log_likelihood`` (N, H, W) is the log-probability of the true class, 0 where ignored.
    For every image and class, all (N, C): ``intersection`` is the probability that the pixels of
    the class give it, ``predicted`` what all pixels give it, ``truth`` how many pixels it has.
    """

    log_likelihood: Tensor
    intersection: Tensor
    predicted: Tensor
    truth: Tensor


def class_sums(logits: Tensor, target: Tensor, *, ignore_index: int = 255) -> ClassSums:
    """Reduce logits (N, C, H, W) and int64 labels (N, H, W) to sums for each image and class.

    Everything in the result can be differentiated, once, with respect to the logits.

    Raises:
        ValueError: if shapes or types do not fit, or a label is out of range.
    """
    return ClassSums(*_ClassSums.apply(*check(logits, target, ignore_index)))


class _ClassSums(torch.autograd.Function):
    """`ClassSums`, with its gradient written out.

    Autograd would keep a log-softmax, a softmax and its masked copy, and walk through each
    again on the way back. Here one tensor of the logits' size is kept and one, the gradient,
    is made.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, ignored: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        softmax = logits.log_softmax(1)
        # Filled, not multiplied: logits far apart make -inf here, which times 0 is not 0.
        log_likelihood = softmax.gather(1, labels.unsqueeze(1)).squeeze(1).masked_fill_(ignored, 0)
        counted = (~ignored).to(softmax.dtype)
        # A power of 2, because exp takes far longer on CPUs that MKL is not tuned for.
        softmax.mul_(math.log2(math.e)).exp2_().mul_(counted.unsqueeze(1))
        right = log_likelihood.exp().mul_(counted)
        intersection = _sum_by_class(right, labels, logits.shape[1])
        truth = _sum_by_class(counted, labels, logits.shape[1])
        ctx.save_for_backward(softmax, labels, counted, right)
        ctx.mark_non_differentiable(truth)
        return log_likelihood, intersection, softmax.sum((2, 3)), truth

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        from_likelihood: Tensor,
        from_intersection: Tensor,
        from_predicted: Tensor,
        _: None,
    ) -> tuple[Tensor, None, None]:
        # For a pixel with softmax p and label t let g_c come in from the predicted of class c, and
        # u from its log-likelihood directly and by way of the intersection. Then its gradient is
        # p_c (g_c - Σ_k g_k p_k - u) + u [c = t], which p = u = 0 makes 0 where ignored.
        softmax, labels, counted, right = ctx.saved_tensors
        from_right = from_intersection.gather(1, labels.flatten(1)).view_as(right)
        u = torch.addcmul(from_likelihood * counted, from_right, right)
        gradient = softmax * from_predicted[:, :, None, None]
        common = gradient.sum(1).add_(u)
        gradient.addcmul_(softmax, common.unsqueeze(1), value=-1)
        gradient.scatter_add_(1, labels.unsqueeze(1), u.unsqueeze(1))
        return gradient, None, None


class Pixels(NamedTuple):
    """Checked input: ``labels`` are classes everywhere, any class where ``ignored``."""

    logits: Tensor  # (N, C, H, W), float32 or float64
    labels: Tensor  # (N, H, W) int64
    ignored: Tensor  # (N, H, W) bool

    def number(self) -> Tensor:
        """Return how many pixels count, or 1 where none does."""
        return (~self.ignored).sum().clamp(min=1)


def check(logits: Tensor, target: Tensor, ignore_index: int) -> Pixels:
    """Check logits (N, C, H, W) and int64 labels (N, H, W); half precision becomes float32.

    Raises:
        ValueError: if shapes or types do not fit, or a label is out of range.
    """
    if logits.ndim != 4 or target.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError(
            "logits must be (N, C, H, W) and target (N, H, W), "
            f"not {tuple(logits.shape)} and {tuple(target.shape)}"
        )
    if target.dtype != torch.int64:
        raise ValueError(f"target must be int64, not {target.dtype}")
    ignored = target == ignore_index
    labels = target.masked_fill(ignored, 0)
    readable = labels.device.type == "cpu" and not torch.compiler.is_compiling()
    if readable and labels.numel() > 0:
        lowest, highest = labels.aminmax()
        if lowest < 0 or highest >= logits.shape[1]:
            label = int(lowest if lowest < 0 else highest)
            raise ValueError(f"target holds {label}, which is none of {logits.shape[1]} classes")
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    return Pixels(logits, labels, ignored)


def _sum_by_class(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Sum values (N, H, W) by their labels to (N, C).

    Row by row first: no running sum gets long enough for float32 to lose digits in it.
    """
    images, height, _ = values.shape
    rows = values.new_zeros(images, height, classes)
    return rows.scatter_add(2, labels, values).sum(1)
